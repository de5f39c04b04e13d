#include "binding/ops/least_squares.h"

#include <algorithm>

#include "binding/ops/check.h"

namespace espalier::ops {

Tensor least_squares(const Tensor& a, const Tensor& b) {
  constexpr const char* kOp = "leastSquares";
  expect_dtype(kOp, "a", a, {DType::f32, DType::f64});
  expect_rank(kOp, "a", a, 2);
  expect_lapack_size(kOp, "a", a);
  const int64_t m = a.shape()[0];
  const int64_t n = a.shape()[1];
  if (std::min(m, n) > kLapackWorkspaceLimit) {
    shape_error(kOp, "a", "one dimension of at most " + std::to_string(kLapackWorkspaceLimit), a);
  }
  expect_dtype(kOp, "b", b, {DType::f32, DType::f64});
  if (b.shape().rank() < 1 || b.shape().rank() > 2 || b.shape()[0] != m) {
    const std::string rows = std::to_string(m);
    shape_error(kOp, "b", "[" + rows + "] or [" + rows + ", k]", b);
  }
  const int64_t k = b.shape().rank() == 2 ? b.shape()[1] : 1;
  if (k > kLapackLimit / (4 * std::max<int64_t>(1, std::max(m, n)))) {
    shape_error(kOp, "b", "fewer columns", b);
  }
  const Tensor output(a.device(), b.shape().rank() == 2 ? Shape{n, k} : Shape{n}, DType::f64);
  submit(kOp, {a, b}, {output}, [=](Backend& backend) {
    return backend.least_squares(
        {.a = a.const_view(), .b = b.const_view(), .output = output.view()});
  });
  return output;
}

}  // namespace espalier::ops
