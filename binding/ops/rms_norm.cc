#include "binding/ops/rms_norm.h"

#include "binding/ops/check.h"

namespace espalier::ops {

RmsNormResult rms_norm(const Tensor& x, const Tensor& weight, double epsilon,
                       const OptionalTensor& residual) {
  constexpr const char* kOp = "rmsNorm";
  expect_dtype(kOp, "x", x, {DType::f32});
  expect_rank_at_least(kOp, "x", x, 1);
  expect_weight_dtype(kOp, "weight", weight);
  expect_shape(kOp, "weight", weight, Shape{x.shape().columns()});
  expect_not_negative(kOp, "eps", epsilon);
  if (residual) {
    expect_dtype(kOp, "residual", *residual, {DType::f32});
    expect_shape(kOp, "residual", *residual, x.shape());
  }
  RmsNormResult result{Tensor(x.device(), x.shape(), DType::f32), std::nullopt};
  if (residual) result.sum.emplace(x.device(), x.shape(), DType::f32);
  submit(kOp, {x, weight, residual}, {result.output, result.sum}, [=](Backend& backend) {
    return backend.rms_norm({.x = x.const_view(),
                             .weight = weight.const_view(),
                             .residual = view_of(residual),
                             .output = result.output.view(),
                             .sum = writable_view_of(result.sum),
                             .epsilon = static_cast<float>(epsilon)});
  });
  return result;
}

}  // namespace espalier::ops
