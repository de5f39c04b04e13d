#include "binding/ops/svd.h"

#include <algorithm>

#include "binding/ops/check.h"

namespace espalier::ops {

SvdResult svd(const Tensor& a, bool vectors) {
  constexpr const char* kOp = "svd";
  expect_dtype(kOp, "a", a, {DType::f32, DType::f64});
  expect_rank(kOp, "a", a, 2);
  expect_lapack_size(kOp, "a", a);
  const int64_t m = a.shape()[0];
  const int64_t n = a.shape()[1];
  const int64_t k = std::min(m, n);
  if (k > kLapackWorkspaceLimit) {
    shape_error(kOp, "a", "one dimension of at most " + std::to_string(kLapackWorkspaceLimit), a);
  }
  SvdResult result{std::nullopt, Tensor(a.device(), Shape{k}, DType::f64), std::nullopt};
  if (vectors) {
    result.u.emplace(a.device(), Shape{m, k}, DType::f64);
    result.vt.emplace(a.device(), Shape{k, n}, DType::f64);
  }
  submit(kOp, {a}, {result.u, result.s, result.vt}, [=](Backend& backend) {
    return backend.svd({.a = a.const_view(),
                        .u = writable_view_of(result.u),
                        .s = result.s.view(),
                        .vt = writable_view_of(result.vt)});
  });
  return result;
}

}  // namespace espalier::ops
