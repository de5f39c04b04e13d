#include "binding/ops/cross_entropy_mean.h"

#include "binding/ops/check.h"

namespace espalier::ops {
namespace {

OptionalTensor like(bool wanted, const Tensor& tensor) {
  if (!wanted) return std::nullopt;
  return Tensor(tensor.device(), tensor.shape(), DType::f32);
}

}  // namespace

CrossEntropyMean cross_entropy_mean(const Tensor& hidden, const Tensor& w, const Tensor& targets,
                                    const CrossEntropyOptions& options,
                                    const CrossEntropyGradients& wanted) {
  constexpr const char* kOp = "crossEntropyMean";
  check_cross_entropy(kOp, hidden, w, targets, options);
  const CrossEntropyMean result{
      .loss = Tensor(hidden.device(), Shape{}, DType::f32),
      .hidden = like(wanted.hidden, hidden),
      .weight = like(wanted.weight, w),
      .bias = options.bias ? like(wanted.bias, *options.bias) : std::nullopt,
  };
  submit(kOp, {hidden, w, targets, options.bias},
         {result.loss, result.hidden, result.weight, result.bias}, [=](Backend& backend) {
           return backend.cross_entropy_mean({.hidden = hidden.const_view(),
                                              .weight = w.const_view(),
                                              .bias = view_of(options.bias),
                                              .targets = targets.const_view(),
                                              .loss = result.loss.view(),
                                              .hidden_gradient = writable_view_of(result.hidden),
                                              .weight_gradient = writable_view_of(result.weight),
                                              .bias_gradient = writable_view_of(result.bias),
                                              .chunk = options.chunk,
                                              .ignore_index = options.ignore_index,
                                              .products = options.products});
         });
  return result;
}

SoftmaxCrossEntropy softmax_cross_entropy(const Tensor& logits, const Tensor& labels,
                                          int64_t ignore_index, bool gradient_wanted) {
  constexpr const char* kOp = "softmaxCrossEntropy";
  expect_dtype(kOp, "logits", logits, {DType::f32});
  expect_rank(kOp, "logits", logits, 2);
  expect_dtype(kOp, "labels", labels, {DType::i32, DType::i64});
  expect_shape(kOp, "labels", labels, Shape{logits.shape()[0]});
  const SoftmaxCrossEntropy result{.loss = Tensor(logits.device(), Shape{}, DType::f32),
                                   .gradient = like(gradient_wanted, logits)};
  submit(kOp, {logits, labels}, {result.loss, result.gradient}, [=](Backend& backend) {
    return backend.softmax_cross_entropy({.logits = logits.const_view(),
                                          .labels = labels.const_view(),
                                          .loss = result.loss.view(),
                                          .gradient = writable_view_of(result.gradient),
                                          .ignore_index = ignore_index});
  });
  return result;
}

}  // namespace espalier::ops
