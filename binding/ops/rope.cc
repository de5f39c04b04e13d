#include "binding/ops/rope.h"

#include <cmath>

#include "binding/ops/check.h"

namespace espalier::ops {

Tensor rope(const Tensor& x, const Tensor& inverse_frequencies, int64_t offset, double scale,
            bool inverse) {
  constexpr const char* kOp = "rope";
  expect_dtype(kOp, "x", x, {DType::f32});
  expect_rank(kOp, "x", x, 4);
  if (x.shape().columns() % 2 != 0) shape_error(kOp, "x", "an even head size", x);
  expect_dtype(kOp, "inverseFrequencies", inverse_frequencies, {DType::f32});
  expect_shape(kOp, "inverseFrequencies", inverse_frequencies, Shape{x.shape().columns() / 2});
  if (offset < 0) value_error(kOp, "offset", "a number >= 0", std::to_string(offset));
  if (!std::isfinite(scale)) {
    value_error(kOp, "scale", "a finite number", std::to_string(scale));
  }
  const Tensor output(x.device(), x.shape(), DType::f32);
  submit(kOp, {x, inverse_frequencies}, {output}, [=](Backend& backend) {
    return backend.rope({.x = x.const_view(),
                         .inverse_frequencies = inverse_frequencies.const_view(),
                         .output = output.view(),
                         .offset = offset,
                         .scale = static_cast<float>(scale),
                         .inverse = inverse});
  });
  return output;
}

}  // namespace espalier::ops
