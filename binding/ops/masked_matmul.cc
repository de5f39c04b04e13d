#include "binding/ops/masked_matmul.h"

#include "binding/ops/check.h"

namespace espalier::ops {
namespace {

constexpr const char* kOp = "maskedMatmul";

void check_list(const char* name, const OptionalTensor& list) {
  if (!list) return;
  expect_dtype(kOp, name, *list, {DType::i32});
  expect_rank(kOp, name, *list, 1);
}

void check(const Tensor& x, const Tensor& weight, const OptionalTensor& bias, const Masks& masks) {
  expect_dtype(kOp, "x", x, {DType::f32});
  expect_rank_at_least(kOp, "x", x, 1);
  expect_weight_dtype(kOp, "w", weight);
  expect_rank(kOp, "w", weight, 2);
  check_list("rows", masks.rows);
  check_list("columns", masks.columns);
  const int64_t width = x.shape().columns();
  const int64_t k = weight.shape()[1];
  const int64_t kept = masks.columns ? masks.columns->shape().elements() : k;
  if (width != k && width != kept) {
    shape_error(kOp, "x",
                "[..., " + std::to_string(k) + "]" +
                    (kept == k ? "" : " or [..., " + std::to_string(kept) + "]"),
                x);
  }
  if (bias) {
    expect_weight_dtype(kOp, "bias", *bias);
    expect_shape(kOp, "bias", *bias, Shape{weight.shape()[0]});
  }
  if (masks.mask) {
    expect_dtype(kOp, "mask", *masks.mask, {DType::u8});
    expect_shape(kOp, "mask", *masks.mask, weight.shape());
  }
}

}  // namespace

Tensor masked_matmul(const Tensor& x, const Tensor& weight, const OptionalTensor& bias,
                     const Masks& masks) {
  check(x, weight, bias, masks);
  const int64_t kept = masks.rows ? masks.rows->shape().elements() : weight.shape()[0];
  const Tensor output(x.device(), x.shape().with_columns(masks.compact ? kept : weight.shape()[0]),
                      DType::f32);
  submit(kOp, {x, weight, bias, masks.rows, masks.columns, masks.mask}, {output},
         [=](Backend& backend) {
           // Empty tensors have no address, and the kernel would take them for "not given".
           if (masks.rows && kept == 0) return backend.clear(output.view());
           ConstView input = x.const_view();
           const bool no_columns = masks.columns && masks.columns->shape().elements() == 0;
           if (no_columns) input.shape = input.shape.with_columns(0);
           return backend.masked_matmul({.x = input,
                                         .weight = weight.const_view(),
                                         .bias = view_of(bias),
                                         .rows = view_of(masks.rows),
                                         .columns = view_of(masks.columns),
                                         .mask = view_of(masks.mask),
                                         .output = output.view(),
                                         .compact = masks.compact});
         });
  return output;
}

}  // namespace espalier::ops
