// Linear least squares of minimum norm.
#pragma once

#include "binding/ops/submit.h"

namespace espalier::ops {

/// The x that minimises ‖a x - b‖, of least norm when a is rank deficient (singular values under
/// max(m, n) · 2⁻⁵² · σ_max count as zero). a f32/f64 [m, n], b f32/f64 [m] or [m, k] -> f64 [n] or
/// [n, k]; zeros when m is 0. Throws DTYPE, SHAPE (also beyond LAPACK's 32-bit sizes). The read
/// fails with NUMERIC on NaN, infinity or no convergence, with OUT_OF_MEMORY without room for f64
/// copies of a and b and the workspace. Source: LAPACK dgelsd.
Tensor least_squares(const Tensor& a, const Tensor& b);

}  // namespace espalier::ops
