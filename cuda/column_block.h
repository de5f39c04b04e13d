// Blocks of threads that share columns of a matrix: neighbours take neighbouring columns, and the
// threads below each other every eighth row of the same one.
#pragma once

#include <cstdint>

#include "cuda/device.h"
#include "cuda/launch.h"

namespace espalier::cuda {

constexpr int kAcross = 32;  ///< columns of a block
constexpr int kDown = 8;     ///< threads of a column

/// Σ over the threads of a column, in all of them. Every thread must call it; `scratch` is shared
/// memory, free again when the function returns.
__device__ inline double column_sum(double value, double (*scratch)[kAcross]) {
  scratch[threadIdx.y][threadIdx.x] = value;
  __syncthreads();
  double sum = 0;
  for (int i = 0; i < kDown; ++i) sum += scratch[i][threadIdx.x];
  __syncthreads();
  return sum;
}

/// The column of this thread in a grid of column_grid.
__device__ inline int64_t block_column() {
  return static_cast<int64_t>(blockIdx.x) * kAcross + threadIdx.x;
}

/// One block for every 32 columns.
inline Grid column_grid(int64_t columns) {
  return {.blocks = {static_cast<unsigned>((columns + kAcross - 1) / kAcross)},
          .threads = {kAcross, kDown}};
}

}  // namespace espalier::cuda
