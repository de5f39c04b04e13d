#include "binding/ops/leave_one_out.h"

#include "binding/ops/check.h"

namespace espalier::ops {

LeaveOneOutResult leave_one_out(const Tensor& h, double damping, ConditionMethod condition) {
  constexpr const char* kOp = "leaveOneOut";
  expect_dtype(kOp, "h", h, {DType::f32, DType::f64});
  expect_square(kOp, "h", h);
  expect_lapack_size(kOp, "h", h,
                     condition == ConditionMethod::svd ? kLapackWorkspaceLimit : kLapackLimit);
  expect_not_negative(kOp, "damping", damping);
  const Shape shape{h.shape()[0]};
  LeaveOneOutResult result{Tensor(h.device(), shape, DType::f64), std::nullopt};
  if (condition != ConditionMethod::none) {
    result.condition.emplace(h.device(), shape, DType::f64);
  }
  const bool lent = lendable(h, {});
  submit(kOp, {h}, {result.residual, result.condition}, [=](Backend& backend) {
    return backend.leave_one_out({.h = h.const_view(),
                                  .residual = result.residual.view(),
                                  .condition = writable_view_of(result.condition),
                                  .damping = damping,
                                  .method = condition,
                                  .lent = lent});
  });
  return result;
}

}  // namespace espalier::ops
