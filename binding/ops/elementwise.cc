#include "binding/ops/elementwise.h"

#include "binding/ops/check.h"

namespace espalier::ops {
namespace {

const char* name_of(ElementwiseKind kind) {
  switch (kind) {
    case ElementwiseKind::add:
      return "add";
    case ElementwiseKind::subtract:
      return "subtract";
    case ElementwiseKind::multiply:
      return "multiply";
  }
  return "";
}

}  // namespace

Tensor elementwise(ElementwiseKind kind, const Tensor& x, const Tensor& y) {
  const char* op = name_of(kind);
  expect_dtype(op, "x", x, {DType::f32, DType::f64});
  expect_dtype(op, "y", y, {x.dtype()});
  expect_shape(op, "y", y, x.shape());
  const Tensor output(x.device(), x.shape(), x.dtype());
  submit(op, {x, y}, {output}, [=](Backend& backend) {
    return backend.elementwise(
        {.x = x.const_view(), .y = y.const_view(), .output = output.view(), .kind = kind});
  });
  return output;
}

void multiply_into(const Tensor& target, const Tensor& x) {
  constexpr const char* kOp = "multiplyInto";
  expect_dtype(kOp, "target", target, {DType::f32, DType::f64});
  expect_dtype(kOp, "x", x, {target.dtype()});
  expect_shape(kOp, "x", x, target.shape());
  expect_disjoint(kOp, "x", x, "target", target);
  submit(kOp, {target, x}, {target}, [=](Backend& backend) {
    return backend.elementwise({.x = target.const_view(),
                                .y = x.const_view(),
                                .output = target.view(),
                                .kind = ElementwiseKind::multiply});
  });
}

}  // namespace espalier::ops
