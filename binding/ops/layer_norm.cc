#include "binding/ops/layer_norm.h"

#include "binding/ops/check.h"

namespace espalier::ops {

Tensor layer_norm(const Tensor& x, const Tensor& weight, const OptionalTensor& bias,
                  double epsilon) {
  constexpr const char* kOp = "layerNorm";
  expect_dtype(kOp, "x", x, {DType::f32});
  expect_rank_at_least(kOp, "x", x, 1);
  expect_weight_dtype(kOp, "weight", weight);
  expect_shape(kOp, "weight", weight, Shape{x.shape().columns()});
  if (bias) {
    expect_weight_dtype(kOp, "bias", *bias);
    expect_shape(kOp, "bias", *bias, weight.shape());
  }
  expect_not_negative(kOp, "eps", epsilon);
  const Tensor output(x.device(), x.shape(), DType::f32);
  submit(kOp, {x, weight, bias}, {output}, [=](Backend& backend) {
    return backend.layer_norm({.x = x.const_view(),
                               .weight = weight.const_view(),
                               .bias = view_of(bias),
                               .output = output.view(),
                               .epsilon = static_cast<float>(epsilon)});
  });
  return output;
}

}  // namespace espalier::ops
