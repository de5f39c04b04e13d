// Dense products in f64, for what follows a factorisation.
#pragma once

#include <cstdint>

#include "cuda/cuda_backend.h"
#include "cuda/device.h"
#include "cuda/launch.h"

namespace espalier::cuda {

/// A matrix of f64 numbers with any strides, in elements; one of the two is 1.
struct StridedMatrix {
  const double* data;     ///< element (0, 0)
  int64_t row_stride;     ///< from one row to the next
  int64_t column_stride;  ///< from one column to the next

  /// Element (i, j).
  __device__ double at(int64_t i, int64_t j) const {
    return data[i * row_stride + j * column_stride];
  }
  /// Whether neighbours along rows are neighbours in memory, around element (i, j).
  __device__ bool along_rows(int64_t /*i*/, int64_t /*j*/) const { return column_stride == 1; }
};

constexpr int kProductTile = 64;      ///< side of a block's tile of the result
constexpr int kProductDepth = 16;     ///< terms of the sums that are loaded at once
constexpr int kProductThreads = 256;  ///< threads of a block
constexpr int kProductEach = 4;       ///< rows, and columns, of a thread

/// slice[l][x] = element(x, l) of a tile, 0 beyond `outer_end` and `inner_end`; neighbouring
/// threads take neighbours along l where `inner_first`.
template <class Element>
__device__ inline void load_slice(bool inner_first, int64_t outer_end, int64_t inner_end,
                                  double (*slice)[kProductTile + 1], Element element) {
  for (int e = static_cast<int>(threadIdx.x); e < kProductTile * kProductDepth;
       e += kProductThreads) {
    const int l = inner_first ? e % kProductDepth : e / kProductTile;
    const int x = inner_first ? e / kProductDepth : e % kProductTile;
    slice[l][x] = x < outer_end && l < inner_end ? element(x, l) : 0;
  }
}

/// store(i, j, Σ_l a(i, l) b(l, j)) for all i < m, j < n, one tile a block. Slices of both factors
/// stand in shared memory; a thread makes 4 x 4 elements, a quarter of the tile apart, so that
/// neighbours read neighbouring words.
template <class Left, class Right, class Store>
__global__ void product_tiles(Left a, Right b, int64_t m, int64_t n, int64_t k, Store store) {
  constexpr int kApart = kProductTile / kProductEach;
  __shared__ double a_slice[kProductDepth][kProductTile + 1];
  __shared__ double b_slice[kProductDepth][kProductTile + 1];
  const int64_t tiles_across = (n + kProductTile - 1) / kProductTile;
  const int64_t row = blockIdx.x / tiles_across * kProductTile;
  const int64_t column = blockIdx.x % tiles_across * kProductTile;
  const int down = static_cast<int>(threadIdx.x) / kApart;
  const int across = static_cast<int>(threadIdx.x) % kApart;
  double sum[kProductEach][kProductEach] = {};
  for (int64_t first = 0; first < k; first += kProductDepth) {
    load_slice(a.along_rows(row, first), m - row, k - first, a_slice,
               [&](int x, int l) { return a.at(row + x, first + l); });
    load_slice(!b.along_rows(first, column), n - column, k - first, b_slice,
               [&](int x, int l) { return b.at(first + l, column + x); });
    __syncthreads();
    for (int l = 0; l < kProductDepth; ++l) {
      for (int i = 0; i < kProductEach; ++i) {
        const double left = a_slice[l][down + i * kApart];
        for (int j = 0; j < kProductEach; ++j) {
          sum[i][j] += left * b_slice[l][across + j * kApart];
        }
      }
    }
    __syncthreads();
  }
  for (int i = 0; i < kProductEach; ++i) {
    for (int j = 0; j < kProductEach; ++j) {
      const int64_t r = row + down + i * kApart;
      const int64_t c = column + across + j * kApart;
      if (r < m && c < n) store(r, c, sum[i][j]);
    }
  }
}

/// Queues product_tiles for factors [m, k] and [k, n] that have `at` and `along_rows` as
/// StridedMatrix has. Sums are in an order that depends on k alone.
template <class Left, class Right, class Store>
Status multiply_f64(const CudaBackend& backend, const Left& a, const Right& b, int64_t m, int64_t n,
                    int64_t k, Store store) {
  const int64_t tiles =
      (m + kProductTile - 1) / kProductTile * ((n + kProductTile - 1) / kProductTile);
  return launch(product_tiles<Left, Right, Store>,
                {.blocks = {static_cast<unsigned>(tiles)}, .threads = kProductThreads},
                backend.stream(), a, b, m, n, k, store);
}

/// Queues c = a b, row-major [m, n] without gaps; a [m, k], b [k, n].
Status multiply_f64(const CudaBackend& backend, const StridedMatrix& a, const StridedMatrix& b,
                    int64_t m, int64_t n, int64_t k, double* c);

}  // namespace espalier::cuda
