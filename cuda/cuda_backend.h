// The CUDA backend: every op of Backend on one GPU, with the CPU backend's numbers.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <memory>

#include "binding/core/backend.h"
#include "cuda/work_queue.h"

namespace espalier::cuda {

class CublasLt;
class Cusolver;
class Uploads;

/// Kernels on one stream of one device. Each method's kernels, with their maths, stand in the file
/// of its name. Methods queue their work and return, except those whose outcome depends on data
/// (indices, factorisations): they wait for the device. Same inputs on the same card give the same
/// bits.
class CudaBackend final : public Backend {
 public:
  /// A backend for device `ordinal`; `host` factorises what the device has no library for.
  CudaBackend(int ordinal, Backend& host) : ordinal_(ordinal), host_(host) {}

  /// The stream that everything is queued on.
  [[nodiscard]] WorkQueue& stream() const { return stream_; }
  /// Where temporaries come from; see Scratch.
  [[nodiscard]] Memory& memory() const { return *memory_; }
  /// The CPU backend.
  [[nodiscard]] Backend& host() const { return host_; }
  /// 10 major + minor of the card's compute capability.
  [[nodiscard]] int compute_capability() const { return compute_capability_; }
  /// Number of multiprocessors.
  [[nodiscard]] int multiprocessors() const { return multiprocessors_; }
  /// NVIDIA's library of products, looked for when it is first asked for.
  CublasLt& cublaslt();
  /// NVIDIA's library of factorisations, likewise.
  Cusolver& cusolver();
  /// Waits until everything queued so far is done.
  Status synchronise();

  Status start() override;
  void use_memory(Memory& memory) override { memory_ = &memory; }
  void* allocate(size_t bytes) override;
  void deallocate(void* data, size_t bytes) override;
  void set_threads(int threads) override;
  Status copy_from_host(const View& target, const void* source) override;
  Status upload(const View& target, const void* source, std::shared_ptr<const void> owner,
                std::unique_ptr<Mark>& arrival) override;
  Status await(const Mark& arrival) override;
  Status copy_to_host(void* target, const ConstView& source) override;
  Status copy(const View& target, const ConstView& source) override;
  Status clear(const View& target) override;
  Status begin_region(const std::string& key) override;
  Status end_region() override;
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

 private:
  int ordinal_;
  Backend& host_;
  Memory* memory_ = nullptr;
  mutable WorkQueue stream_;
  std::shared_ptr<CublasLt> cublaslt_;
  std::shared_ptr<Cusolver> cusolver_;
  std::shared_ptr<Uploads> uploads_;
  bool pools_ = false;
  std::byte* staging_ = nullptr;  // pinned memory that small uploads leave from
  size_t staged_ = 0;             // bytes of it in use since the last wait
  int compute_capability_ = 0;
  int multiprocessors_ = 1;
};

}  // namespace espalier::cuda
