// Sums of a matrix along one side, in f64.
#pragma once

#include "binding/ops/submit.h"

namespace espalier::ops {

/// Σ over the first dimension: x f32/f64 of rank >= 1, seen as [product of the leading dimensions,
/// C]
/// -> f64 [C]. Throws DTYPE, SHAPE.
Tensor sum_rows(const Tensor& x);

/// Σ over the last dimension: x f32/f64 of rank >= 1 -> f64 [product of the leading dimensions].
/// Throws DTYPE, SHAPE.
Tensor sum_columns(const Tensor& x);

}  // namespace espalier::ops
