#include "binding/ops/linear.h"

#include "binding/ops/check.h"

namespace espalier::ops {

Tensor linear(const Tensor& x, const Tensor& weight, const OptionalTensor& bias) {
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
                           .output = output.view()});
  });
  return output;
}

}  // namespace espalier::ops
