#include "binding/ops/sum.h"

#include "binding/ops/check.h"

namespace espalier::ops {
namespace {

Tensor sum(const char* op, const Tensor& x, bool columns) {
  expect_dtype(op, "x", x, {DType::f32, DType::f64});
  expect_rank_at_least(op, "x", x, 1);
  const Tensor output(x.device(), Shape{columns ? x.shape().rows() : x.shape().columns()},
                      DType::f64);
  submit(op, {x}, {output}, [=](Backend& backend) {
    return backend.sum({.x = x.const_view(), .output = output.view(), .columns = columns});
  });
  return output;
}

}  // namespace

Tensor sum_rows(const Tensor& x) { return sum("sumRows", x, false); }

Tensor sum_columns(const Tensor& x) { return sum("sumColumns", x, true); }

}  // namespace espalier::ops
