// Steps that the factorisations share: reading symmetric matrices, damping, Cholesky factors.
#pragma once

#include <cstdint>

#include "binding/core/numeric_failure.h"
#include "binding/core/op_arguments.h"
#include "binding/core/status.h"

namespace espalier::cpu {

/// True when no element of an f32 or f64 array is NaN or infinite.
bool all_finite(const ConstView& x);
/// True when no element is NaN or infinite.
bool all_finite(const double* x, int64_t count);

/// Copies an f32 or f64 array into f64.
void copy_to_f64(const ConstView& x, double* target);

/// λ of a damping factor: factor · mean(diag h) when relative, otherwise the factor itself.
double damping_of(const ConstView& h, double factor, bool relative);

/// Writes h + λI to `target` [n, n], lower triangle only; the rest is left as it was. Fails with
/// NUMERIC when that triangle of h holds a NaN or an infinity.
Status copy_damped(const ConstView& h, double lambda, double* target);

/// Replaces the lower triangle (row-major) of S [n, n] by its Cholesky factor: S = L Lᵀ. The other
/// triangle is neither read nor written. To Fortran the same memory is the upper factor U = Lᵀ.
/// Fails with NUMERIC, naming the leading minor that is not positive definite.
Status factor_in_place(double* matrix, int64_t n);

/// factor_in_place of h + λI, copied to `factor` [n, n].
Status factor_damped(const ConstView& h, double lambda, double* factor);

/// Replaces the factor of factor_damped by L⁻¹, in place.
Status invert_factor(double* factor, int64_t n);

/// diagonal[j] = [(L Lᵀ)⁻¹]_jj from the lower triangle of L⁻¹ as invert_factor leaves it: the sum
/// of squares of its column j.
void inverse_diagonal(const double* inverse, int64_t n, double* diagonal);

/// Replaces L⁻¹ by the lower triangle of (L Lᵀ)⁻¹ = L⁻ᵀ L⁻¹, in place.
Status multiply_inverse(double* inverse, int64_t n);

}  // namespace espalier::cpu
