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

}  // namespace espalier::ops
