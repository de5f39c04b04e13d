#include "binding/ops/gram.h"

#include "binding/ops/check.h"

namespace espalier::ops {

Tensor gram(const Tensor& x, const OptionalTensor& y, const OptionalTensor& into) {
  constexpr const char* kOp = "gram";
  expect_weight_dtype(kOp, "x", x);
  expect_rank_at_least(kOp, "x", x, 1);
  if (y) {
    expect_dtype(kOp, "y", *y, {x.dtype()});
    expect_rank_at_least(kOp, "y", *y, 1);
    if (y->shape().rows() != x.shape().rows()) {
      shape_error(kOp, "y", std::to_string(x.shape().rows()) + " rows", *y);
    }
  }
  const Shape shape{y ? y->shape().columns() : x.shape().columns(), x.shape().columns()};
  if (into) {
    expect_dtype(kOp, "into", *into, {DType::f64});
    expect_shape(kOp, "into", *into, shape);
    expect_disjoint(kOp, "into", *into, "x", x);
    if (y) expect_disjoint(kOp, "into", *into, "y", *y);
  }
  const Tensor output = into ? *into : Tensor(x.device(), shape, DType::f64);
  submit(kOp, {x, y, into}, {output}, [=](Backend& backend) {
    return backend.gram({.x = x.const_view(),
                         .y = view_of(y),
                         .output = output.view(),
                         .accumulate = into.has_value()});
  });
  return output;
}

}  // namespace espalier::ops
