// cuSOLVER's decompositions, waited for, with their outcome as a Status.
#pragma once

#include <cstdint>

#include "cuda/cuda_backend.h"

namespace espalier::cuda {

/// Eigen-decomposition of the symmetric matrix whose lower triangle stands in `a` [n, n], n >= 1,
/// all finite: `values` [n] ascending, row i of `a` becomes the i-th eigenvector. NUMERIC when it
/// does not converge.
Status decompose_symmetric(CudaBackend& backend, double* a, int64_t n, double* values);

/// Copies an f32 or f64 matrix [m, n] into f64 with the longer dimension along rows: as it is where
/// m <= n, its transpose otherwise.
Status copy_wide(CudaBackend& backend, const ConstView& a, double* target);

/// Singular vectors of a matrix [m, n] by its dimensions, k = min(m, n), row-major: where m <= n,
/// a = shorter diag(s) longer; where m > n, a = longerᵀ diag(s) shorterᵀ.
struct SingularVectors {
  double* shorter = nullptr;  ///< [k, k]
  double* longer = nullptr;   ///< [k, max(m, n)]; both null: not wanted
};

/// Thin singular value decomposition of an f32 or f64 matrix [m, n], m, n >= 1: s [k] descending.
/// NUMERIC when an element of `a` is not finite or it does not converge. Memory: a copy of the
/// matrix, two where m > n, and the library's workspace.
Status decompose_singular(CudaBackend& backend, const ConstView& a, double* s,
                          const SingularVectors& vectors);

}  // namespace espalier::cuda
