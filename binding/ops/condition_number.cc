#include "binding/ops/condition_number.h"

#include <algorithm>

#include "binding/ops/check.h"

namespace espalier::ops {

Tensor condition_number(const Tensor& a, ConditionMethod method) {
  constexpr const char* kOp = "conditionNumber";
  expect_dtype(kOp, "a", a, {DType::f32, DType::f64});
  expect_rank(kOp, "a", a, 2);
  expect_lapack_size(kOp, "a", a);
  if (method == ConditionMethod::none) value_error(kOp, "method", "svd or lanczos", "none");
  if (method == ConditionMethod::svd &&
      std::min(a.shape()[0], a.shape()[1]) > kLapackWorkspaceLimit) {
    shape_error(kOp, "a", "one dimension of at most " + std::to_string(kLapackWorkspaceLimit), a);
  }
  const Tensor output(a.device(), Shape{}, DType::f64);
  submit(kOp, {a}, {output}, [=](Backend& backend) {
    return backend.condition_number(
        {.a = a.const_view(), .output = output.view(), .method = method});
  });
  return output;
}

}  // namespace espalier::ops
