// c[i, j] = Σ_l a[i, l] b[l, j] in f64. A block makes a square tile of c from slices of both
// factors in shared memory; a thread makes 4 x 4 of its elements, a quarter of the tile apart, so
// that neighbours read neighbouring words. Slices are loaded along the factor's contiguous
// direction.
#include "cuda/device.h"
#include "cuda/launch.h"
#include "cuda/product_f64.h"

namespace espalier::cuda {
namespace {

constexpr int kTile = 64;
constexpr int kDepth = 16;
constexpr int kThreads = 256;
constexpr int kEach = 4;
constexpr int kApart = kTile / kEach;

// slice[l][x] = factor(outer + x, inner + l), 0 beyond the ends.
__device__ inline void load_slice(const double* data, int64_t outer_stride, int64_t inner_stride,
                                  int64_t outer, int64_t outer_end, int64_t inner,
                                  int64_t inner_end, double (*slice)[kTile + 1]) {
  const bool inner_first = inner_stride == 1;
  for (int e = static_cast<int>(threadIdx.x); e < kTile * kDepth; e += kThreads) {
    const int l = inner_first ? e % kDepth : e / kTile;
    const int x = inner_first ? e / kDepth : e % kTile;
    const bool inside = outer + x < outer_end && inner + l < inner_end;
    slice[l][x] = inside ? data[(outer + x) * outer_stride + (inner + l) * inner_stride] : 0;
  }
}

__global__ void multiply_tiles(StridedMatrix a, StridedMatrix b, int64_t m, int64_t n, int64_t k,
                               double* c) {
  __shared__ double a_slice[kDepth][kTile + 1];
  __shared__ double b_slice[kDepth][kTile + 1];
  const int64_t tiles_across = (n + kTile - 1) / kTile;
  const int64_t row = blockIdx.x / tiles_across * kTile;
  const int64_t column = blockIdx.x % tiles_across * kTile;
  const int down = static_cast<int>(threadIdx.x) / kApart;
  const int across = static_cast<int>(threadIdx.x) % kApart;
  double sum[kEach][kEach] = {};
  for (int64_t l = 0; l < k; l += kDepth) {
    load_slice(a.data, a.row_stride, a.column_stride, row, m, l, k, a_slice);
    load_slice(b.data, b.column_stride, b.row_stride, column, n, l, k, b_slice);
    __syncthreads();
    for (int d = 0; d < kDepth; ++d) {
      for (int i = 0; i < kEach; ++i) {
        const double left = a_slice[d][down + i * kApart];
        for (int j = 0; j < kEach; ++j) sum[i][j] += left * b_slice[d][across + j * kApart];
      }
    }
    __syncthreads();
  }
  for (int i = 0; i < kEach; ++i) {
    for (int j = 0; j < kEach; ++j) {
      const int64_t r = row + down + i * kApart;
      const int64_t s = column + across + j * kApart;
      if (r < m && s < n) c[r * n + s] = sum[i][j];
    }
  }
}

}  // namespace

Status multiply_f64(const CudaBackend& backend, const StridedMatrix& a, const StridedMatrix& b,
                    int64_t m, int64_t n, int64_t k, double* c) {
  const int64_t tiles = (m + kTile - 1) / kTile * ((n + kTile - 1) / kTile);
  return launch(multiply_tiles, {.blocks = {static_cast<unsigned>(tiles)}, .threads = kThreads},
                backend.stream(), a, b, m, n, k, c);
}

}  // namespace espalier::cuda
