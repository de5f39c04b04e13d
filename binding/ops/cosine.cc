#include "binding/ops/cosine.h"

#include "binding/ops/check.h"

namespace espalier::ops {

Tensor cosine(const Tensor& x, const Tensor& y) {
  constexpr const char* kOp = "cosine";
  expect_dtype(kOp, "x", x, {DType::f32});
  expect_rank_at_least(kOp, "x", x, 1);
  expect_dtype(kOp, "y", y, {DType::f32});
  expect_shape(kOp, "y", y, x.shape());
  const Tensor output(x.device(), Shape(x.shape().dims().first(x.shape().rank() - 1)), DType::f32);
  submit(kOp, {x, y}, {output}, [=](Backend& backend) {
    return backend.cosine({.x = x.const_view(), .y = y.const_view(), .output = output.view()});
  });
  return output;
}

}  // namespace espalier::ops
