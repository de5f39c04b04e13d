#include "binding/ops/attention.h"

#include <cmath>

#include "binding/ops/check.h"

namespace espalier::ops {
namespace {

void check(const char* op, const Tensor& q, const Tensor& k, const Tensor& v,
           const AttentionOptions& options) {
  // Positions are held in 32 bits per vector lane.
  constexpr int64_t kMaxPositions = int64_t{1} << 30;
  expect_dtype(op, "q", q, {DType::f32});
  expect_rank(op, "q", q, 4);
  expect_dtype(op, "k", k, {DType::f32});
  expect_rank(op, "k", k, 4);
  const Shape& shape = q.shape();
  if (k.shape()[0] != shape[0] || k.shape()[3] != shape[3]) {
    shape_error(op, "k", "batch and head size of q, " + shape.text(), k);
  }
  if (shape[2] != 0 && (k.shape()[2] == 0 || shape[2] % k.shape()[2] != 0)) {
    shape_error(op, "k", "a number of heads that divides q's " + std::to_string(shape[2]), k);
  }
  if (shape[1] > kMaxPositions) shape_error(op, "q", "at most 2^30 positions", q);
  if (k.shape()[1] > kMaxPositions) shape_error(op, "k", "at most 2^30 positions", k);
  expect_dtype(op, "v", v, {DType::f32});
  expect_shape(op, "v", v, k.shape());
  if (options.key_mask) {
    expect_dtype(op, "keyMask", *options.key_mask, {DType::u8});
    expect_shape(op, "keyMask", *options.key_mask, Shape{k.shape()[0], k.shape()[1]});
  }
  if (!std::isfinite(options.scale)) {
    value_error(op, "scale", "a finite number", std::to_string(options.scale));
  }
  if (options.window < 0) {
    value_error(op, "window", "a number >= 0", std::to_string(options.window));
  }
}

Shape without_columns(const Shape& shape) { return Shape{shape[0], shape[1], shape[2]}; }

}  // namespace

AttentionResult attention(const Tensor& q, const Tensor& k, const Tensor& v,
                          const AttentionOptions& options) {
  constexpr const char* kOp = "attention";
  check(kOp, q, k, v, options);
  AttentionResult result{Tensor(q.device(), q.shape(), DType::f32), std::nullopt};
  if (options.want_log_sum_exp) {
    result.log_sum_exp.emplace(q.device(), without_columns(q.shape()), DType::f32);
  }
  submit(kOp, {q, k, v, options.key_mask}, {result.output, result.log_sum_exp},
         [=](Backend& backend) {
           return backend.attention({.q = q.const_view(),
                                     .k = k.const_view(),
                                     .v = v.const_view(),
                                     .key_mask = view_of(options.key_mask),
                                     .output = result.output.view(),
                                     .log_sum_exp = writable_view_of(result.log_sum_exp),
                                     .scale = static_cast<float>(options.scale),
                                     .causal = options.causal,
                                     .window = options.window,
                                     .products = options.products});
         });
  return result;
}

AttentionGradients attention_backward(const Tensor& gradient, const Tensor& q, const Tensor& k,
                                      const Tensor& v, const AttentionResult& forward,
                                      const AttentionOptions& options) {
  constexpr const char* kOp = "attentionBackward";
  check(kOp, q, k, v, options);
  expect_dtype(kOp, "gradient", gradient, {DType::f32});
  expect_shape(kOp, "gradient", gradient, q.shape());
  expect_dtype(kOp, "output", forward.output, {DType::f32});
  expect_shape(kOp, "output", forward.output, q.shape());
  if (!forward.log_sum_exp) {
    value_error(kOp, "logSumExp", "the one that attention returned", "nothing");
  }
  const Tensor& log_sum_exp = *forward.log_sum_exp;
  expect_dtype(kOp, "logSumExp", log_sum_exp, {DType::f32});
  expect_shape(kOp, "logSumExp", log_sum_exp, without_columns(q.shape()));
  const AttentionGradients result{Tensor(q.device(), q.shape(), DType::f32),
                                  Tensor(k.device(), k.shape(), DType::f32),
                                  Tensor(v.device(), v.shape(), DType::f32)};
  submit(kOp, {gradient, q, k, v, forward.output, log_sum_exp, options.key_mask},
         {result.q, result.k, result.v}, [=](Backend& backend) {
           return backend.attention_backward({.gradient = gradient.const_view(),
                                              .q = q.const_view(),
                                              .k = k.const_view(),
                                              .v = v.const_view(),
                                              .output = forward.output.const_view(),
                                              .log_sum_exp = log_sum_exp.const_view(),
                                              .key_mask = view_of(options.key_mask),
                                              .q_gradient = result.q.view(),
                                              .k_gradient = result.k.view(),
                                              .v_gradient = result.v.view(),
                                              .scale = static_cast<float>(options.scale),
                                              .causal = options.causal,
                                              .window = options.window,
                                              .products = options.products});
         });
  return result;
}

}  // namespace espalier::ops
