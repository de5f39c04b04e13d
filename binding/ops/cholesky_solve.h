// Solution of a damped positive definite system.
#pragma once

#include "binding/ops/submit.h"

namespace espalier::ops {

/// (H + λI)⁻¹ B in f64, λ = damping · mean(diag H) when relative, otherwise damping itself.
/// h f32/f64 [n, n] symmetric, only its lower triangle is read; b f32/f64 [n] or [n, m] -> f64 like
/// b. Empty when n or m is 0. Throws DTYPE, SHAPE, CONFIG (damping). The read fails with NUMERIC
/// when h + λI is not positive definite (the message gives the order of the leading minor that is
/// not) or when NaN or infinity appears, with OUT_OF_MEMORY without room for one [n, n] f64 copy.
Tensor cholesky_solve(const Tensor& h, const Tensor& b, double damping, bool relative);

}  // namespace espalier::ops
