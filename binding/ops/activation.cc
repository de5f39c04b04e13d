#include "binding/ops/activation.h"

#include "binding/ops/check.h"

namespace espalier::ops {

Tensor activation(const Tensor& x, ActivationKind kind) {
  constexpr const char* kOp = "activation";
  expect_dtype(kOp, "x", x, {DType::f32});
  const Tensor output(x.device(), x.shape(), DType::f32);
  submit(kOp, {x}, {output}, [=](Backend& backend) {
    return backend.activation({.x = x.const_view(), .output = output.view(), .kind = kind});
  });
  return output;
}

Tensor activation_backward(const Tensor& gradient, const Tensor& saved, ActivationKind kind) {
  constexpr const char* kOp = "activationBackward";
  expect_dtype(kOp, "gradient", gradient, {DType::f32});
  expect_dtype(kOp, "saved", saved, {DType::f32});
  expect_shape(kOp, "saved", saved, gradient.shape());
  const Tensor output(gradient.device(), gradient.shape(), DType::f32);
  submit(kOp, {gradient, saved}, {output}, [=](Backend& backend) {
    return backend.activation_backward({.gradient = gradient.const_view(),
                                        .saved = saved.const_view(),
                                        .output = output.view(),
                                        .kind = kind});
  });
  return output;
}

}  // namespace espalier::ops
