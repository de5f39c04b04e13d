// The CPU backend: the reference that every other backend is compared with.
#pragma once

#include <memory>

#include "binding/core/device.h"

namespace espalier::cpu {

/// Kernels over host memory, parallel through OpenMP with the dispatcher thread as master. Each
/// method's kernel, with its maths, stands in the file of its name. Same inputs, same number of
/// threads and same machine give the same bits.
class CpuBackend final : public Backend {
 public:
  CpuBackend();

  void* allocate(size_t bytes) override;
  void deallocate(void* data, size_t bytes) override;
  void set_threads(int threads) override;
  Status copy_from_host(const View& target, const void* source) override;
  Status copy_to_host(void* target, const ConstView& source) override;
  Status copy(const View& target, const ConstView& source) override;
  Status clear(const View& target) override;
  Status mark(std::unique_ptr<Mark>& mark) override;
  Status elapsed(const Mark& from, const Mark& to, double& seconds) override;

  Status embedding(const EmbeddingArguments& arguments) override;
  Status linear(const LinearArguments& arguments) override;
  Status linear_input_gradient(const LinearInputGradientArguments& arguments) override;
  Status linear_weight_gradient(const LinearWeightGradientArguments& arguments) override;
  Status lora_linear(const LoraLinearArguments& arguments) override;
  Status lora_linear_backward(const LoraLinearBackwardArguments& arguments) override;
  Status merge_features(const MergeFeaturesArguments& arguments) override;
  Status dispatch_gradient(const DispatchGradientArguments& arguments) override;
  Status masked_matmul(const MaskedMatmulArguments& arguments) override;
  Status rms_norm(const RmsNormArguments& arguments) override;
  Status rope(const RopeArguments& arguments) override;
  Status attention(const AttentionArguments& arguments) override;
  Status swiglu(const SwigluArguments& arguments) override;
  Status cross_entropy(const CrossEntropyArguments& arguments) override;
  Status gram(const GramArguments& arguments) override;
  Status column_moments(const ColumnMomentsArguments& arguments) override;
  Status cosine(const CosineArguments& arguments) override;
  Status gather(const GatherArguments& arguments) override;
  Status scale(const ScaleArguments& arguments) override;
  Status cast(const CastArguments& arguments) override;
  Status elementwise(const ElementwiseArguments& arguments) override;
  Status squared_error(const SquaredErrorArguments& arguments) override;
  Status sum(const SumArguments& arguments) override;
  Status transpose(const TransposeArguments& arguments) override;
  Status eigh(const EighArguments& arguments) override;
  Status svd(const SvdArguments& arguments) override;
  Status cholesky_solve(const CholeskySolveArguments& arguments) override;
  Status least_squares(const LeastSquaresArguments& arguments) override;
  Status ridge_update(const RidgeUpdateArguments& arguments) override;
  Status condition_number(const ConditionNumberArguments& arguments) override;
  Status leave_one_out(const LeaveOneOutArguments& arguments) override;
  Status leave_group_out(const LeaveGroupOutArguments& arguments) override;

  Status layer_norm(const LayerNormArguments& arguments) override;
  Status norm_backward(const NormBackwardArguments& arguments) override;
  Status attention_backward(const AttentionBackwardArguments& arguments) override;
  Status dropout(const DropoutArguments& arguments) override;
  Status activation(const ActivationArguments& arguments) override;
  Status activation_backward(const ActivationBackwardArguments& arguments) override;
  Status swiglu_backward(const SwigluBackwardArguments& arguments) override;

  Status cross_entropy_mean(const CrossEntropyMeanArguments& arguments) override;
  Status softmax_cross_entropy(const SoftmaxCrossEntropyArguments& arguments) override;
  Status embedding_backward(const EmbeddingBackwardArguments& arguments) override;
  Status mean_pool(const MeanPoolArguments& arguments) override;
  Status mean_pool_backward(const MeanPoolBackwardArguments& arguments) override;
  Status select_token(const SelectTokenArguments& arguments) override;
  Status select_token_backward(const SelectTokenBackwardArguments& arguments) override;
  Status adam_w(const AdamWArguments& arguments) override;
  Status sgd(const SgdArguments& arguments) override;
  Status global_norm(const GlobalNormArguments& arguments) override;
  Status scale_many(const ScaleManyArguments& arguments) override;
};

/// The process's one CPU device, made on first use.
Device& cpu_device();

}  // namespace espalier::cpu
