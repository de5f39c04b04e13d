// The largest eigenvalue of a symmetric matrix without row and column j, for all j, from a few
// eigenpairs.
#pragma once

#include <cstdint>

#include "binding/core/minor_extremes.h"
#include "cuda/cuda_backend.h"

namespace espalier::cuda {

/// result[j] for a positive semi-definite A [n, n], n >= 2, its lower triangle (row-major) in `a`,
/// all on the device. Largest eigenpairs from block Lanczos, the rest of the spectrum by its
/// moments (how and how exactly: see binding/cpu/minor_extremes.h). A zero matrix gives 0.
Status minor_extremes(CudaBackend& backend, const double* a, int64_t n, MinorOf question,
                      double* result);

}  // namespace espalier::cuda
