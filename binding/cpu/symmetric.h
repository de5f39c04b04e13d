// Products and moments of a symmetric matrix given by its lower triangle.
#pragma once

#include <cstdint>

namespace espalier::cpu {

/// y = A x for `count` vectors, x and y [count, n] row by row; A's lower triangle (row-major) in
/// `a`.
void symmetric_product(const double* a, int64_t n, const double* x, double* y, int64_t count);

/// diagonal[j] = A_jj and squares[j] = Σ_i A_ij².
void symmetric_moments(const double* a, int64_t n, double* diagonal, double* squares);

}  // namespace espalier::cpu
