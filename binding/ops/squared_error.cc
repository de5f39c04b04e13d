#include "binding/ops/squared_error.h"

#include "binding/ops/check.h"

namespace espalier::ops {

Tensor squared_error(const Tensor& x, const OptionalTensor& y) {
  constexpr const char* kOp = "squaredError";
  expect_dtype(kOp, "x", x, {DType::f32, DType::f64});
  if (y) {
    expect_dtype(kOp, "y", *y, {x.dtype()});
    expect_shape(kOp, "y", *y, x.shape());
  }
  const Tensor output(x.device(), Shape{}, DType::f64);
  submit(kOp, {x, y}, {output}, [=](Backend& backend) {
    return backend.squared_error({.x = x.const_view(), .y = view_of(y), .output = output.view()});
  });
  return output;
}

}  // namespace espalier::ops
