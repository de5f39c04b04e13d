#include "binding/ops/linear.h"

#include "binding/ops/check.h"

namespace espalier::ops {

Tensor linear(const Tensor& x, const Tensor& weight, const OptionalTensor& bias,
              Products products) {
  constexpr const char* kOp = "linear";
  expect_dtype(kOp, "x", x, {DType::f32});
  expect_rank_at_least(kOp, "x", x, 1);
  expect_weight_dtype(kOp, "weight", weight);
  expect_rank(kOp, "weight", weight, 2);
  if (x.shape().columns() != weight.shape()[1]) {
    shape_error(kOp, "weight", "[N, " + std::to_string(x.shape().columns()) + "]", weight);
  }
  if (bias) {
    expect_weight_dtype(kOp, "bias", *bias);
    expect_shape(kOp, "bias", *bias, Shape{weight.shape()[0]});
  }
  const Tensor output(x.device(), x.shape().with_columns(weight.shape()[0]), DType::f32);
  submit(kOp, {x, weight, bias}, {output}, [=](Backend& backend) {
    return backend.linear({.x = x.const_view(),
                           .weight = weight.const_view(),
                           .bias = view_of(bias),
                           .output = output.view(),
                           .products = products});
  });
  return output;
}

Tensor linear_input_gradient(const Tensor& gradient, const Tensor& weight, Products products) {
  constexpr const char* kOp = "linearInputGradient";
  expect_dtype(kOp, "gradient", gradient, {DType::f32});
  expect_rank_at_least(kOp, "gradient", gradient, 1);
  expect_weight_dtype(kOp, "weight", weight);
  expect_rank(kOp, "weight", weight, 2);
  if (gradient.shape().columns() != weight.shape()[0]) {
    shape_error(kOp, "weight", "[" + std::to_string(gradient.shape().columns()) + ", K]", weight);
  }
  const Tensor output(gradient.device(), gradient.shape().with_columns(weight.shape()[1]),
                      DType::f32);
  submit(kOp, {gradient, weight}, {output}, [=](Backend& backend) {
    return backend.linear_input_gradient({.gradient = gradient.const_view(),
                                          .weight = weight.const_view(),
                                          .output = output.view(),
                                          .products = products});
  });
  return output;
}

Tensor linear_weight_gradient(const Tensor& gradient, const Tensor& x, Products products) {
  constexpr const char* kOp = "linearWeightGradient";
  expect_dtype(kOp, "gradient", gradient, {DType::f32});
  expect_rank_at_least(kOp, "gradient", gradient, 1);
  expect_dtype(kOp, "x", x, {DType::f32});
  expect_rank_at_least(kOp, "x", x, 1);
  expect_shape(kOp, "gradient", gradient, x.shape().with_columns(gradient.shape().columns()));
  const Tensor output(x.device(), {gradient.shape().columns(), x.shape().columns()}, DType::f32);
  submit(kOp, {gradient, x}, {output}, [=](Backend& backend) {
    return backend.linear_weight_gradient({.gradient = gradient.const_view(),
                                           .x = x.const_view(),
                                           .output = output.view(),
                                           .products = products});
  });
  return output;
}

}  // namespace espalier::ops
