#include "binding/ops/cross_entropy.h"

#include "binding/ops/check.h"

namespace espalier::ops {

Tensor cross_entropy(const Tensor& hidden, const Tensor& w, const Tensor& targets,
                     const CrossEntropyOptions& options) {
  constexpr const char* kOp = "crossEntropy";
  expect_dtype(kOp, "hidden", hidden, {DType::f32});
  expect_rank(kOp, "hidden", hidden, 2);
  expect_weight_dtype(kOp, "w", w);
  expect_rank(kOp, "w", w, 2);
  if (w.shape()[1] != hidden.shape()[1]) {
    shape_error(kOp, "w", "[V, " + std::to_string(hidden.shape()[1]) + "]", w);
  }
  expect_dtype(kOp, "targets", targets, {DType::i32, DType::i64});
  expect_shape(kOp, "targets", targets, Shape{hidden.shape()[0]});
  if (options.bias) {
    expect_weight_dtype(kOp, "bias", *options.bias);
    expect_shape(kOp, "bias", *options.bias, Shape{w.shape()[0]});
  }
  if (options.chunk < 0) {
    value_error(kOp, "chunk", "a number of rows", std::to_string(options.chunk));
  }
  const Tensor output(hidden.device(), targets.shape(), DType::f32);
  submit(kOp, {hidden, w, targets, options.bias}, {output}, [=](Backend& backend) {
    return backend.cross_entropy({.hidden = hidden.const_view(),
                                  .weight = w.const_view(),
                                  .bias = view_of(options.bias),
                                  .targets = targets.const_view(),
                                  .output = output.view(),
                                  .chunk = options.chunk,
                                  .ignore_index = options.ignore_index,
                                  .products = options.products});
  });
  return output;
}

}  // namespace espalier::ops
