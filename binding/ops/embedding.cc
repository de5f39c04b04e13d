#include "binding/ops/embedding.h"

#include "binding/ops/check.h"

namespace espalier::ops {

Tensor embedding(const Tensor& ids, const Tensor& table) {
  constexpr const char* kOp = "embedding";
  expect_dtype(kOp, "ids", ids, {DType::i32, DType::i64});
  expect_weight_dtype(kOp, "table", table);
  expect_rank(kOp, "table", table, 2);
  std::vector<int64_t> dims(ids.shape().dims().begin(), ids.shape().dims().end());
  dims.push_back(table.shape()[1]);
  const Tensor output(ids.device(), Shape(std::span<const int64_t>(dims)), DType::f32);
  submit(kOp, {ids, table}, {output}, [=](Backend& backend) {
    return backend.embedding(
        {.ids = ids.const_view(), .table = table.const_view(), .output = output.view()});
  });
  return output;
}

Tensor embedding_backward(const Tensor& gradient, const Tensor& ids, int64_t rows,
                          int64_t padding_index) {
  constexpr const char* kOp = "embeddingBackward";
  expect_dtype(kOp, "gradient", gradient, {DType::f32});
  expect_rank_at_least(kOp, "gradient", gradient, 1);
  expect_dtype(kOp, "ids", ids, {DType::i32, DType::i64});
  if (ids.shape().elements() != gradient.shape().rows()) {
    shape_error(kOp, "ids", std::to_string(gradient.shape().rows()) + " ids", ids);
  }
  if (rows < 0) value_error(kOp, "rows", "a number of rows", std::to_string(rows));
  const Tensor output(ids.device(), {rows, gradient.shape().columns()}, DType::f32);
  submit(kOp, {gradient, ids}, {output}, [=](Backend& backend) {
    return backend.embedding_backward({.gradient = gradient.const_view(),
                                       .ids = ids.const_view(),
                                       .output = output.view(),
                                       .padding_index = padding_index});
  });
  return output;
}

}  // namespace espalier::ops
