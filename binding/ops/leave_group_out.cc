#include "binding/ops/leave_group_out.h"

#include "binding/ops/check.h"

namespace espalier::ops {

Tensor leave_group_out(const Tensor& g, const Tensor& w, int64_t group_size, double damping) {
  constexpr const char* kOp = "leaveGroupOut";
  expect_dtype(kOp, "g", g, {DType::f64});
  expect_square(kOp, "g", g);
  expect_lapack_size(kOp, "g", g);
  expect_weight_dtype(kOp, "w", w);
  expect_rank(kOp, "w", w, 2);
  expect_shape(kOp, "w", w, Shape{w.shape()[0], g.shape()[0]});
  if (group_size < 1 || g.shape()[0] % group_size != 0) {
    value_error(kOp, "groupSize", "a divisor of " + std::to_string(g.shape()[0]),
                std::to_string(group_size));
  }
  expect_not_negative(kOp, "damping", damping);
  const Tensor output(g.device(), Shape{g.shape()[0] / group_size}, DType::f64);
  const bool lent = lendable(g, {});
  submit(kOp, {g, w}, {output}, [=](Backend& backend) {
    return backend.leave_group_out({.g = g.const_view(),
                                    .weight = w.const_view(),
                                    .output = output.view(),
                                    .group_size = group_size,
                                    .damping = damping,
                                    .lent = lent});
  });
  return output;
}

}  // namespace espalier::ops
