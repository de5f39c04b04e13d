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

}  // namespace espalier::ops
