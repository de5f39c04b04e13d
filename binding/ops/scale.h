// Row and column factors.
#pragma once

#include "binding/ops/submit.h"

namespace espalier::ops {

/// y[r, c] = x[r, c] factors[r], or factors[c] with `columns`; rows are those of the flattened
/// matrix [product of the leading dimensions, last dimension]. x f32/f64/bf16/f16 [..., C], factors
/// f32/f64 [rows] or [C] -> like x. Computed in f64 when either is f64, otherwise in f32. Throws
/// DTYPE, SHAPE, DEVICE_MISMATCH.
Tensor scale(const Tensor& x, const Tensor& factors, bool columns);

}  // namespace espalier::ops
