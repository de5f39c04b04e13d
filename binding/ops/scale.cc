#include "binding/ops/scale.h"

#include "binding/ops/check.h"

namespace espalier::ops {

Tensor scale(const Tensor& x, const Tensor& factors, bool columns) {
  constexpr const char* kOp = "scale";
  expect_dtype(kOp, "x", x, {DType::f32, DType::f64, DType::bf16, DType::f16});
  expect_rank_at_least(kOp, "x", x, 1);
  expect_dtype(kOp, "factors", factors, {DType::f32, DType::f64});
  expect_shape(kOp, "factors", factors, Shape{columns ? x.shape().columns() : x.shape().rows()});
  const Tensor output(x.device(), x.shape(), x.dtype());
  submit(kOp, {x, factors}, {output}, [=](Backend& backend) {
    return backend.scale({.x = x.const_view(),
                          .factors = factors.const_view(),
                          .output = output.view(),
                          .columns = columns});
  });
  return output;
}

}  // namespace espalier::ops
