#include "binding/ops/ridge_update.h"

#include "binding/ops/check.h"

namespace espalier::ops {

Tensor ridge_update(const Tensor& w, const Tensor& g, const Tensor& c, double damping) {
  constexpr const char* kOp = "ridgeUpdate";
  expect_weight_dtype(kOp, "w", w);
  expect_rank(kOp, "w", w, 2);
  expect_lapack_size(kOp, "w", w);
  expect_dtype(kOp, "g", g, {DType::f64});
  expect_shape(kOp, "g", g, Shape{w.shape()[1], w.shape()[1]});
  expect_dtype(kOp, "c", c, {DType::f64});
  expect_shape(kOp, "c", c, w.shape());
  expect_not_negative(kOp, "damping", damping);
  const Tensor output(w.device(), w.shape(), DType::f32);
  const bool lent = lendable(g, {&c});
  submit(kOp, {w, g, c}, {output}, [=](Backend& backend) {
    return backend.ridge_update({.weight = w.const_view(),
                                 .g = g.const_view(),
                                 .c = c.const_view(),
                                 .output = output.view(),
                                 .damping = damping,
                                 .lent = lent});
  });
  return output;
}

}  // namespace espalier::ops
