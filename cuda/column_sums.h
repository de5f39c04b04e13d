// Sums of a matrix over its rows.
#pragma once

#include <cstdint>

#include "cuda/cuda_backend.h"

namespace espalier::cuda {

/// Queues output[c] = Σ_r x[r, c] in f64, for a row-major f32 or f64 matrix; zeros without rows.
template <class T>
Status column_sums(CudaBackend& backend, const T* x, int64_t rows, int64_t columns, double* output);

}  // namespace espalier::cuda
