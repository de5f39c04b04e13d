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

}  // namespace espalier::ops
