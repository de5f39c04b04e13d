// The secular equation of a symmetric matrix that loses one row and column, for all columns at
// once.
#pragma once

#include "binding/core/secular_problem.h"
#include "cuda/cuda_backend.h"

namespace espalier::cuda {

/// Queues the roots [n] of a problem whose arrays are on the device; k + extra >= 2.
Status solve_secular(const CudaBackend& backend, const SecularProblem& problem, double* roots);

}  // namespace espalier::cuda
