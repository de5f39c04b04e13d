#include "binding/ops/gather.h"

#include "binding/ops/check.h"

namespace espalier::ops {
namespace {

void expect_indices(const char* op, const Tensor& indices) {
  expect_dtype(op, "indices", indices, {DType::i32});
  expect_rank(op, "indices", indices, 1);
}

Tensor gather(const char* op, const Tensor& x, const Tensor& indices, bool columns) {
  expect_rank_at_least(op, "x", x, 1);
  expect_indices(op, indices);
  std::vector<int64_t> dims(x.shape().dims().begin(), x.shape().dims().end());
  (columns ? dims.back() : dims.front()) = indices.shape()[0];
  const Tensor output(x.device(), Shape(std::span<const int64_t>(dims)), x.dtype());
  submit(op, {x, indices}, {output}, [=](Backend& backend) {
    return backend.gather({.x = x.const_view(),
                           .indices = indices.const_view(),
                           .output = output.view(),
                           .columns = columns});
  });
  return output;
}

}  // namespace

Tensor gather_rows(const Tensor& x, const Tensor& indices) {
  return gather("gatherRows", x, indices, false);
}

Tensor gather_columns(const Tensor& x, const Tensor& indices) {
  return gather("gatherColumns", x, indices, true);
}

Tensor principal_submatrix(const Tensor& x, const Tensor& indices, bool consume) {
  constexpr const char* kOp = "principalSubmatrix";
  expect_square(kOp, "x", x);
  expect_indices(kOp, indices);
  const int64_t count = indices.shape()[0];
  const Tensor output(x.device(), Shape{count, count}, x.dtype());
  submit(kOp, {x, indices}, {output}, [=](Backend& backend) {
    return backend.gather({.x = x.const_view(),
                           .indices = indices.const_view(),
                           .output = output.view(),
                           .both = true,
                           .consume = consume});
  });
  return output;
}

}  // namespace espalier::ops
