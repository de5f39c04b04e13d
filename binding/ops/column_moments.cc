#include "binding/ops/column_moments.h"

#include "binding/ops/check.h"

namespace espalier::ops {

Tensor column_moments(const Tensor& x, const OptionalTensor& into, int64_t count) {
  constexpr const char* kOp = "columnMoments";
  expect_dtype(kOp, "x", x, {DType::f32});
  expect_rank_at_least(kOp, "x", x, 1);
  if (count < 0) value_error(kOp, "count", "a number >= 0", std::to_string(count));
  if (count > 0 && !into) value_error(kOp, "into", "a tensor, as count > 0", "nothing");
  const Shape shape{2, x.shape().columns()};
  if (into) {
    expect_dtype(kOp, "into", *into, {DType::f64});
    expect_shape(kOp, "into", *into, shape);
    expect_disjoint(kOp, "into", *into, "x", x);
  }
  const Tensor output = into ? *into : Tensor(x.device(), shape, DType::f64);
  submit(kOp, {x, into}, {output}, [=](Backend& backend) {
    return backend.column_moments({.x = x.const_view(), .output = output.view(), .count = count});
  });
  return output;
}

}  // namespace espalier::ops
