// LAPACK's decompositions with their workspace taken from the pool.
#pragma once

#include <cstdint>

#include "binding/core/op_arguments.h"
#include "binding/core/status.h"

namespace espalier::cpu {

/// Gets LAPACK ready and copies an f32 or f64 array into f64 memory that a decomposition may
/// overwrite; a null `target` gives out_of_scratch(). NUMERIC when an element is not finite.
Status copy_for_lapack(const ConstView& a, double* target);

/// Eigen-decomposition of the symmetric matrix whose lower triangle (row-major) stands in `a`
/// [n, n]. `values` [n] ascending. With `vectors` row i of `a` becomes the i-th eigenvector,
/// otherwise `a` is lost. n >= 1, all finite. NUMERIC when it does not converge.
Status decompose_symmetric(double* a, int64_t n, double* values, bool vectors);

/// Thin singular value decomposition of a row-major a [m, n], which is lost: s [k] descending,
/// k = min(m, n); u [m, k] and vt [k, n] row-major, both null when not wanted. m, n >= 1, all
/// finite. NUMERIC when it does not converge.
Status decompose_singular(double* a, int64_t m, int64_t n, double* u, double* s, double* vt);

}  // namespace espalier::cpu
