// Sum of squares.
#pragma once

#include "binding/ops/submit.h"

namespace espalier::ops {

/// Σ (x - y)², or Σ x² without y, accumulated in f64: both f32 or both f64, same shape -> f64 [].
/// NaN and infinity propagate. Throws DTYPE, SHAPE, DEVICE_MISMATCH.
Tensor squared_error(const Tensor& x, const OptionalTensor& y);

}  // namespace espalier::ops
