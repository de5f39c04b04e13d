#include "binding/ops/pool.h"

#include "binding/ops/check.h"

namespace espalier::ops {
namespace {

void expect_mask(const char* op, const Tensor& mask, int64_t batch) {
  expect_dtype(op, "mask", mask, {DType::u8});
  expect_rank(op, "mask", mask, 2);
  if (mask.shape()[0] != batch) {
    shape_error(op, "mask", "[" + std::to_string(batch) + ", T]", mask);
  }
}

void expect_index(const char* op, const Tensor& index, int64_t batch) {
  expect_dtype(op, "index", index, {DType::i32, DType::i64});
  expect_shape(op, "index", index, Shape{batch});
}

}  // namespace

Tensor mean_pool(const Tensor& x, const Tensor& mask) {
  constexpr const char* kOp = "meanPool";
  expect_dtype(kOp, "x", x, {DType::f32});
  expect_rank(kOp, "x", x, 3);
  expect_mask(kOp, mask, x.shape()[0]);
  expect_shape(kOp, "mask", mask, Shape{x.shape()[0], x.shape()[1]});
  const Tensor output(x.device(), {x.shape()[0], x.shape()[2]}, DType::f32);
  submit(kOp, {x, mask}, {output}, [=](Backend& backend) {
    return backend.mean_pool(
        {.x = x.const_view(), .mask = mask.const_view(), .output = output.view()});
  });
  return output;
}

Tensor mean_pool_backward(const Tensor& gradient, const Tensor& mask) {
  constexpr const char* kOp = "meanPoolBackward";
  expect_dtype(kOp, "gradient", gradient, {DType::f32});
  expect_rank(kOp, "gradient", gradient, 2);
  expect_mask(kOp, mask, gradient.shape()[0]);
  const Tensor output(gradient.device(), {mask.shape()[0], mask.shape()[1], gradient.shape()[1]},
                      DType::f32);
  submit(kOp, {gradient, mask}, {output}, [=](Backend& backend) {
    return backend.mean_pool_backward(
        {.gradient = gradient.const_view(), .mask = mask.const_view(), .output = output.view()});
  });
  return output;
}

Tensor select_token(const Tensor& x, const Tensor& index) {
  constexpr const char* kOp = "selectToken";
  expect_dtype(kOp, "x", x, {DType::f32});
  expect_rank(kOp, "x", x, 3);
  expect_index(kOp, index, x.shape()[0]);
  const Tensor output(x.device(), {x.shape()[0], x.shape()[2]}, DType::f32);
  submit(kOp, {x, index}, {output}, [=](Backend& backend) {
    return backend.select_token(
        {.x = x.const_view(), .index = index.const_view(), .output = output.view()});
  });
  return output;
}

Tensor select_token_backward(const Tensor& gradient, const Tensor& index, int64_t tokens) {
  constexpr const char* kOp = "selectTokenBackward";
  expect_dtype(kOp, "gradient", gradient, {DType::f32});
  expect_rank(kOp, "gradient", gradient, 2);
  expect_index(kOp, index, gradient.shape()[0]);
  if (tokens < 0) value_error(kOp, "tokens", "a number of tokens", std::to_string(tokens));
  const Tensor output(gradient.device(), {gradient.shape()[0], tokens, gradient.shape()[1]},
                      DType::f32);
  submit(kOp, {gradient, index}, {output}, [=](Backend& backend) {
    return backend.select_token_backward(
        {.gradient = gradient.const_view(), .index = index.const_view(), .output = output.view()});
  });
  return output;
}

}  // namespace espalier::ops
