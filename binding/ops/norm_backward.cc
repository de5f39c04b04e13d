#include "binding/ops/norm_backward.h"

#include "binding/ops/check.h"

namespace espalier::ops {

NormGradients norm_backward(const Tensor& gradient, const Tensor& x, const Tensor& weight,
                            double epsilon, bool centred, const OptionalTensor& upstream,
                            NormWanted wanted) {
  const char* op = centred ? "layerNormBackward" : "rmsNormBackward";
  expect_dtype(op, "x", x, {DType::f32});
  expect_rank_at_least(op, "x", x, 1);
  expect_dtype(op, "gradient", gradient, {DType::f32});
  expect_shape(op, "gradient", gradient, x.shape());
  expect_weight_dtype(op, "weight", weight);
  expect_shape(op, "weight", weight, Shape{x.shape().columns()});
  expect_not_negative(op, "eps", epsilon);
  if (upstream) {
    expect_dtype(op, "upstream", *upstream, {DType::f32});
    expect_shape(op, "upstream", *upstream, x.shape());
  }
  NormGradients result{Tensor(x.device(), x.shape(), DType::f32), std::nullopt, std::nullopt};
  if (wanted.weight) result.weight.emplace(x.device(), weight.shape(), DType::f32);
  if (wanted.bias) result.bias.emplace(x.device(), weight.shape(), DType::f32);
  submit(op, {gradient, x, weight, upstream}, {result.x, result.weight, result.bias},
         [=](Backend& backend) {
           return backend.norm_backward({.gradient = gradient.const_view(),
                                         .x = x.const_view(),
                                         .weight = weight.const_view(),
                                         .upstream = view_of(upstream),
                                         .x_gradient = result.x.view(),
                                         .weight_gradient = writable_view_of(result.weight),
                                         .bias_gradient = writable_view_of(result.bias),
                                         .epsilon = static_cast<float>(epsilon),
                                         .centred = centred});
         });
  return result;
}

}  // namespace espalier::ops
