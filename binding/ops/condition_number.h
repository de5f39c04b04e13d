// Condition number of a matrix.
#pragma once

#include "binding/ops/submit.h"

namespace espalier::ops {

/// σ_max/σ_min of a f32/f64 [m, n] -> f64 []; infinity when σ_min is 0, 1 for an empty matrix.
/// svd: all singular values by LAPACK, min(m, n) at most 16384.
/// lanczos: extreme singular values of the QR factor by block Lanczos with at most 256 vectors. A
/// lower bound up to rounding (2⁻⁵² · condition, relative); measured against svd within 1e-8 where
/// the extreme values are separated and 1e-3 where the ends of the spectrum are dense, n up to
/// 1000. Throws DTYPE, SHAPE, CONFIG (method none). The read fails with NUMERIC on NaN and
/// infinity, with OUT_OF_MEMORY without room for an f64 copy (two for a tall matrix by lanczos).
Tensor condition_number(const Tensor& a, ConditionMethod method);

}  // namespace espalier::ops
