#include "binding/ops/attention.h"

#include <cmath>

#include "binding/ops/check.h"

namespace espalier::ops {

Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, double scale, bool causal,
                 int64_t window) {
  constexpr const char* kOp = "attention";
  // Positions are held in 32 bits per vector lane.
  constexpr int64_t kMaxPositions = int64_t{1} << 30;
  expect_dtype(kOp, "q", q, {DType::f32});
  expect_rank(kOp, "q", q, 4);
  expect_dtype(kOp, "k", k, {DType::f32});
  expect_rank(kOp, "k", k, 4);
  const Shape& shape = q.shape();
  if (k.shape()[0] != shape[0] || k.shape()[3] != shape[3]) {
    shape_error(kOp, "k", "batch and head size of q, " + shape.text(), k);
  }
  if (shape[2] != 0 && (k.shape()[2] == 0 || shape[2] % k.shape()[2] != 0)) {
    shape_error(kOp, "k", "a number of heads that divides q's " + std::to_string(shape[2]), k);
  }
  if (shape[1] > kMaxPositions) shape_error(kOp, "q", "at most 2^30 positions", q);
  if (k.shape()[1] > kMaxPositions) shape_error(kOp, "k", "at most 2^30 positions", k);
  expect_dtype(kOp, "v", v, {DType::f32});
  expect_shape(kOp, "v", v, k.shape());
  if (!std::isfinite(scale)) value_error(kOp, "scale", "a finite number", std::to_string(scale));
  if (window < 0) value_error(kOp, "window", "a number >= 0", std::to_string(window));
  const Tensor output(q.device(), shape, DType::f32);
  submit(kOp, {q, k, v}, {output}, [=](Backend& backend) {
    return backend.attention({.q = q.const_view(),
                              .k = k.const_view(),
                              .v = v.const_view(),
                              .output = output.view(),
                              .scale = static_cast<float>(scale),
                              .causal = causal,
                              .window = window});
  });
  return output;
}

}  // namespace espalier::ops
