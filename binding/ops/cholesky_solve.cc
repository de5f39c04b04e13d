#include "binding/ops/cholesky_solve.h"

#include "binding/ops/check.h"

namespace espalier::ops {

Tensor cholesky_solve(const Tensor& h, const Tensor& b, double damping, bool relative) {
  constexpr const char* kOp = "choleskySolve";
  expect_dtype(kOp, "h", h, {DType::f32, DType::f64});
  expect_square(kOp, "h", h);
  expect_lapack_size(kOp, "h", h);
  expect_dtype(kOp, "b", b, {DType::f32, DType::f64});
  if (b.shape().rank() < 1 || b.shape().rank() > 2 || b.shape()[0] != h.shape()[0]) {
    const std::string n = std::to_string(h.shape()[0]);
    shape_error(kOp, "b", "[" + n + "] or [" + n + ", m]", b);
  }
  expect_lapack_size(kOp, "b", b);
  expect_not_negative(kOp, "damping", damping);
  const Tensor output(h.device(), b.shape(), DType::f64);
  const bool lent = lendable(h, {&b});
  submit(kOp, {h, b}, {output}, [=](Backend& backend) {
    return backend.cholesky_solve({.h = h.const_view(),
                                   .b = b.const_view(),
                                   .output = output.view(),
                                   .damping = damping,
                                   .relative = relative,
                                   .lent = lent});
  });
  return output;
}

}  // namespace espalier::ops
