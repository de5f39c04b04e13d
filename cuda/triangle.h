// Products with a matrix that is given by its lower triangle.
#pragma once

#include <cstdint>

#include "cuda/cuda_backend.h"

namespace espalier::cuda {

/// Which matrix a lower triangle L stands for.
enum class TriangleUse {
  lower,       ///< L
  transposed,  ///< Lᵀ
  symmetric,   ///< L and its mirror image
};

/// A lower triangle (row-major); what is above it is not read.
struct Triangle {
  const double* data;  ///< element (0, 0)
  int64_t n;           ///< order
  int64_t stride;      ///< elements from one row to the next
  TriangleUse use;     ///< the matrix that is meant
};

/// Vectors that are multiplied at once, at most.
constexpr int kTriangleVectors = 4;

/// Queues y = A x for `count` <= 4 vectors, x and y [count, n] row by row.
Status multiply_triangle(const CudaBackend& backend, const Triangle& a, const double* x, double* y,
                         int64_t count);

/// Queues squares[i] = Σ_j A_ij².
Status row_squares(const CudaBackend& backend, const Triangle& a, double* squares);

}  // namespace espalier::cuda
