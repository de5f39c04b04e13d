// Symmetric eigen-decomposition.
#pragma once

#include "binding/ops/submit.h"

namespace espalier::ops {

/// Result of eigh.
struct EighResult {
  Tensor values;
  Tensor vectors;
};

/// a = V diag(values) Vᵀ for symmetric a f32/f64 [n, n], lower triangle read -> values f64 [n]
/// ascending and V f64 [n, n] with the eigenvectors as columns. Empty when n is 0. Throws DTYPE,
/// SHAPE (also for n > 16384, which LAPACK's 32-bit workspace sizes cannot take). The read fails
/// with NUMERIC on NaN, infinity or no convergence, with OUT_OF_MEMORY without room for 2 n² f64 of
/// workspace. Source: LAPACK dsyevd.
EighResult eigh(const Tensor& a);

}  // namespace espalier::ops
