// What a device must be able to do. One implementation per kind of device: cpu/, and cuda/ as a
// library of its own.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "binding/core/lora_arguments.h"
#include "binding/core/loss_arguments.h"
#include "binding/core/mark.h"
#include "binding/core/memory.h"
#include "binding/core/merge_arguments.h"
#include "binding/core/op_arguments.h"
#include "binding/core/optimizer_arguments.h"
#include "binding/core/status.h"
#include "binding/core/tensor.h"
#include "binding/core/training_arguments.h"

namespace espalier {

/// The contract between streams and kernels. Every method but allocate, deallocate and the getters
/// is called on the device's dispatcher thread, in stream order. A method may return before the
/// work is done (a GPU queues it on its own stream) as long as later methods and copy_to_host see
/// the result. Arguments have been checked by ops/: shapes fit, dtypes are among those documented
/// at the argument struct, outputs are allocated and do not overlap inputs unless documented.
/// Nothing throws or aborts; failures come back as Status.
class Backend {
 public:
  virtual ~Backend() = default;

  /// Prepares the device. Called once, on the dispatcher thread, before every other method but
  /// set_threads; when it fails, every task of the stream fails with what it returned.
  virtual Status start() { return {}; }
  /// Says where ops shall take temporaries from. Called once, before start.
  virtual void use_memory(Memory& /*memory*/) {}
  /// At least `bytes` bytes aligned to 64, or null. Any thread.
  virtual void* allocate(size_t bytes) = 0;
  /// Returns a block of allocate(bytes). Any thread; work already queued may still use the block.
  virtual void deallocate(void* data, size_t bytes) = 0;
  /// Bounds the number of host threads that kernels use.
  virtual void set_threads(int threads) = 0;
  /// Copies host memory into a tensor; `source` is valid during the call only.
  virtual Status copy_from_host(const View& target, const void* source) = 0;
  /// Copies host memory that nobody writes while `owner` lives into a tensor, beside later work of
  /// the stream: `arrival` is then a mark that await has to be called with before the tensor is
  /// touched or its memory given back. Null where the copy was made in stream order.
  virtual Status upload(const View& target, const void* source,
                        std::shared_ptr<const void> /*owner*/, std::unique_ptr<Mark>& /*arrival*/) {
    return copy_from_host(target, source);
  }
  /// Lets the work that is queued from now on wait for an upload; what the upload failed with.
  virtual Status await(const Mark& /*arrival*/) { return {}; }
  /// Copies a tensor to host memory and returns when the bytes are there.
  virtual Status copy_to_host(void* target, const ConstView& source) = 0;
  /// Copies within the device; same dtype and element count.
  virtual Status copy(const View& target, const ConstView& source) = 0;
  /// Zeroes a tensor.
  virtual Status clear(const View& target) = 0;
  /// Puts a mark behind all work queued so far.
  virtual Status mark(std::unique_ptr<Mark>& mark) = 0;
  /// Waits until the device has passed two marks of this backend, and gives the seconds it took
  /// from one to the other by its own clock.
  virtual Status elapsed(const Mark& from, const Mark& to, double& seconds) = 0;

  /// Begins a stretch of work that is likely to come again under the same key, with the same ops
  /// and shapes, so that a GPU can learn to queue it at once. Results are the same without. Regions
  /// do not nest: one that begins ends the one before.
  virtual Status begin_region(const std::string& /*key*/) { return {}; }
  /// Ends the region that is open, if any.
  virtual Status end_region() { return {}; }

  /// The ops, one method each; op_arguments.h says what every one computes.
  virtual Status embedding(const EmbeddingArguments& arguments) = 0;
  virtual Status linear(const LinearArguments& arguments) = 0;
  virtual Status linear_input_gradient(const LinearInputGradientArguments& arguments) = 0;
  virtual Status linear_weight_gradient(const LinearWeightGradientArguments& arguments) = 0;
  virtual Status lora_linear(const LoraLinearArguments& arguments) = 0;
  virtual Status lora_linear_backward(const LoraLinearBackwardArguments& arguments) = 0;
  virtual Status merge_features(const MergeFeaturesArguments& arguments) = 0;
  virtual Status dispatch_gradient(const DispatchGradientArguments& arguments) = 0;
  virtual Status masked_matmul(const MaskedMatmulArguments& arguments) = 0;
  virtual Status rms_norm(const RmsNormArguments& arguments) = 0;
  virtual Status rope(const RopeArguments& arguments) = 0;
  virtual Status attention(const AttentionArguments& arguments) = 0;
  virtual Status swiglu(const SwigluArguments& arguments) = 0;
  virtual Status cross_entropy(const CrossEntropyArguments& arguments) = 0;
  virtual Status gram(const GramArguments& arguments) = 0;
  virtual Status column_moments(const ColumnMomentsArguments& arguments) = 0;
  virtual Status cosine(const CosineArguments& arguments) = 0;
  virtual Status gather(const GatherArguments& arguments) = 0;
  virtual Status scale(const ScaleArguments& arguments) = 0;
  virtual Status cast(const CastArguments& arguments) = 0;
  virtual Status elementwise(const ElementwiseArguments& arguments) = 0;
  virtual Status squared_error(const SquaredErrorArguments& arguments) = 0;
  virtual Status sum(const SumArguments& arguments) = 0;
  virtual Status transpose(const TransposeArguments& arguments) = 0;
  virtual Status eigh(const EighArguments& arguments) = 0;
  virtual Status svd(const SvdArguments& arguments) = 0;
  virtual Status cholesky_solve(const CholeskySolveArguments& arguments) = 0;
  virtual Status least_squares(const LeastSquaresArguments& arguments) = 0;
  virtual Status ridge_update(const RidgeUpdateArguments& arguments) = 0;
  virtual Status condition_number(const ConditionNumberArguments& arguments) = 0;
  virtual Status leave_one_out(const LeaveOneOutArguments& arguments) = 0;
  virtual Status leave_group_out(const LeaveGroupOutArguments& arguments) = 0;

  /// Training; training_arguments.h says what every one computes.
  virtual Status layer_norm(const LayerNormArguments& arguments) = 0;
  virtual Status norm_backward(const NormBackwardArguments& arguments) = 0;
  virtual Status attention_backward(const AttentionBackwardArguments& arguments) = 0;
  virtual Status dropout(const DropoutArguments& arguments) = 0;
  virtual Status activation(const ActivationArguments& arguments) = 0;
  virtual Status activation_backward(const ActivationBackwardArguments& arguments) = 0;
  virtual Status swiglu_backward(const SwigluBackwardArguments& arguments) = 0;

  /// Losses and optimisers; loss_arguments.h and optimizer_arguments.h say what every one computes.
  virtual Status cross_entropy_mean(const CrossEntropyMeanArguments& arguments) = 0;
  virtual Status softmax_cross_entropy(const SoftmaxCrossEntropyArguments& arguments) = 0;
  virtual Status embedding_backward(const EmbeddingBackwardArguments& arguments) = 0;
  virtual Status mean_pool(const MeanPoolArguments& arguments) = 0;
  virtual Status mean_pool_backward(const MeanPoolBackwardArguments& arguments) = 0;
  virtual Status select_token(const SelectTokenArguments& arguments) = 0;
  virtual Status select_token_backward(const SelectTokenBackwardArguments& arguments) = 0;
  virtual Status adam_w(const AdamWArguments& arguments) = 0;
  virtual Status sgd(const SgdArguments& arguments) = 0;
  virtual Status global_norm(const GlobalNormArguments& arguments) = 0;
  virtual Status scale_many(const ScaleManyArguments& arguments) = 0;
};

}  // namespace espalier
