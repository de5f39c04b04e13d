#include "binding/ops/eigh.h"

#include "binding/ops/check.h"

namespace espalier::ops {

EighResult eigh(const Tensor& a) {
  constexpr const char* kOp = "eigh";
  expect_dtype(kOp, "a", a, {DType::f32, DType::f64});
  expect_square(kOp, "a", a);
  expect_lapack_size(kOp, "a", a, kLapackWorkspaceLimit);
  EighResult result{Tensor(a.device(), Shape{a.shape()[0]}, DType::f64),
                    Tensor(a.device(), a.shape(), DType::f64)};
  submit(kOp, {a}, {result.values, result.vectors}, [=](Backend& backend) {
    return backend.eigh(
        {.a = a.const_view(), .values = result.values.view(), .vectors = result.vectors.view()});
  });
  return result;
}

}  // namespace espalier::ops
