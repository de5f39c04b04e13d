// Thin singular value decomposition.
#pragma once

#include "binding/ops/submit.h"

namespace espalier::ops {

/// Result of svd; u and vt only when vectors were asked for.
struct SvdResult {
  OptionalTensor u;
  Tensor s;
  OptionalTensor vt;
};

/// a = U diag(s) Vᵀ for a f32/f64 [m, n], k = min(m, n): u f64 [m, k], s f64 [k] descending, vt f64
/// [k, n]. Empty when m or n is 0. Throws DTYPE, SHAPE (also for k > 16384, which LAPACK's 32-bit
/// workspace sizes cannot take). The read fails with NUMERIC on NaN, infinity or no convergence,
/// with OUT_OF_MEMORY without room for an f64 copy and the workspace. Source: LAPACK dgesdd.
SvdResult svd(const Tensor& a, bool vectors);

}  // namespace espalier::ops
