// The largest eigenvalue of a symmetric matrix without row and column j, for all j, from a few
// eigenpairs.
#pragma once

#include <cstdint>

#include "binding/core/minor_extremes.h"
#include "binding/core/status.h"

namespace espalier::cpu {

/// result[j] for a positive semi-definite A [n, n], n >= 2, its lower triangle (row-major) in `a`.
/// The largest eigenpairs (λ_i, v_i) come from block Lanczos, the rest of the spectrum enters
/// through the moments 1, A_jj and ‖A_:j‖² as a two-point quadrature; Gauss-Radau rules at either
/// end of the rest bound the root from both sides (Golub & Meurant). The basis grows until the
/// bounds agree to 1e-6 or it has 256 vectors; their mean is returned. A zero matrix gives 0.
Status minor_extremes(const double* a, int64_t n, MinorOf question, double* result);

}  // namespace espalier::cpu
