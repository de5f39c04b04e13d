// Kernels over the rows of a matrix: neighbouring threads take neighbouring elements of a row.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cuda/device.h"
#include "cuda/launch.h"

namespace espalier::cuda {

/// The grid for for_row_elements over `rows` rows of `columns` elements; no blocks without
/// elements.
inline Grid row_grid(int64_t rows, int64_t columns) {
  constexpr int64_t kThreads = 256;
  // With 16 bytes a thread this is 1 KiB of a row; more would leave more threads behind its end.
  constexpr int64_t kMostAcross = 64;
  // Some blocks for every multiprocessor of the largest card, then threads stride.
  constexpr int64_t kBlocks = int64_t{1} << 14;
  int64_t across = 1;
  while (across < columns && across < kMostAcross) across *= 2;
  const int64_t down = kThreads / across;
  const int64_t blocks_across = std::min((columns + across - 1) / across, kBlocks);
  const int64_t limit = std::max<int64_t>(1, kBlocks / std::max<int64_t>(1, blocks_across));
  const int64_t blocks_down = std::min((rows + down - 1) / down, limit);
  return {.blocks = {static_cast<unsigned>(blocks_down), static_cast<unsigned>(blocks_across)},
          .threads = {static_cast<unsigned>(across), static_cast<unsigned>(down)}};
}

/// Calls body(row, column) once for every element, in a kernel launched over row_grid.
template <class Body>
__device__ inline void for_row_elements(int64_t rows, int64_t columns, Body&& body) {
  const int64_t rows_at_once = static_cast<int64_t>(gridDim.x) * blockDim.y;
  const int64_t columns_at_once = static_cast<int64_t>(gridDim.y) * blockDim.x;
  int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  for (; row < rows; row += rows_at_once) {
    int64_t column = static_cast<int64_t>(blockIdx.y) * blockDim.x + threadIdx.x;
    for (; column < columns; column += columns_at_once) body(row, column);
  }
}

}  // namespace espalier::cuda
