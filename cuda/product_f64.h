// Dense products in f64, for what follows a factorisation.
#pragma once

#include <cstdint>

#include "cuda/cuda_backend.h"

namespace espalier::cuda {

/// A matrix of f64 numbers with any strides, in elements.
struct StridedMatrix {
  const double* data;     ///< element (0, 0)
  int64_t row_stride;     ///< from one row to the next
  int64_t column_stride;  ///< from one column to the next; one of the two is 1
};

/// Queues c = a b, row-major [m, n] without gaps; a [m, k], b [k, n]. Sums are f64 and in an order
/// that depends on k alone.
Status multiply_f64(const CudaBackend& backend, const StridedMatrix& a, const StridedMatrix& b,
                    int64_t m, int64_t n, int64_t k, double* c);

}  // namespace espalier::cuda
