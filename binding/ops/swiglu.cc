#include "binding/ops/swiglu.h"

#include "binding/ops/check.h"

namespace espalier::ops {

Tensor swiglu(const Tensor& gate, const Tensor& up) {
  constexpr const char* kOp = "swiglu";
  expect_dtype(kOp, "gate", gate, {DType::f32});
  expect_dtype(kOp, "up", up, {DType::f32});
  expect_shape(kOp, "up", up, gate.shape());
  const Tensor output(gate.device(), gate.shape(), DType::f32);
  submit(kOp, {gate, up}, {output}, [=](Backend& backend) {
    return backend.swiglu(
        {.gate = gate.const_view(), .up = up.const_view(), .output = output.view()});
  });
  return output;
}

SwigluGradients swiglu_backward(const Tensor& gradient, const Tensor& gate, const Tensor& up) {
  constexpr const char* kOp = "swigluBackward";
  expect_dtype(kOp, "gradient", gradient, {DType::f32});
  expect_dtype(kOp, "gate", gate, {DType::f32});
  expect_dtype(kOp, "up", up, {DType::f32});
  expect_shape(kOp, "gate", gate, gradient.shape());
  expect_shape(kOp, "up", up, gradient.shape());
  const SwigluGradients result{Tensor(gate.device(), gate.shape(), DType::f32),
                               Tensor(gate.device(), gate.shape(), DType::f32)};
  submit(kOp, {gradient, gate, up}, {result.gate, result.up}, [=](Backend& backend) {
    return backend.swiglu_backward({.gradient = gradient.const_view(),
                                    .gate = gate.const_view(),
                                    .up = up.const_view(),
                                    .gate_gradient = result.gate.view(),
                                    .up_gradient = result.up.view()});
  });
  return result;
}

}  // namespace espalier::ops
