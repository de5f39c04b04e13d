#include "binding/ops/cross_entropy.h"

#include "binding/ops/check.h"

namespace espalier::ops {

void check_cross_entropy(const char* op, const Tensor& hidden, const Tensor& w,
                         const Tensor& targets, const CrossEntropyOptions& options) {
  expect_dtype(op, "hidden", hidden, {DType::f32});
  expect_rank(op, "hidden", hidden, 2);
  expect_weight_dtype(op, "w", w);
  expect_rank(op, "w", w, 2);
  if (w.shape()[1] != hidden.shape()[1]) {
    shape_error(op, "w", "[V, " + std::to_string(hidden.shape()[1]) + "]", w);
  }
  expect_dtype(op, "targets", targets, {DType::i32, DType::i64});
  expect_shape(op, "targets", targets, Shape{hidden.shape()[0]});
  if (options.bias) {
    expect_weight_dtype(op, "bias", *options.bias);
    expect_shape(op, "bias", *options.bias, Shape{w.shape()[0]});
  }
  if (options.chunk < 0) {
    value_error(op, "chunk", "a number of rows", std::to_string(options.chunk));
  }
}

Tensor cross_entropy(const Tensor& hidden, const Tensor& w, const Tensor& targets,
                     const CrossEntropyOptions& options) {
  constexpr const char* kOp = "crossEntropy";
  check_cross_entropy(kOp, hidden, w, targets, options);
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
