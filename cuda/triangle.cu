// y_i = Σ_j A_ij x_j for a few vectors x at once, in f64, A by its lower triangle. A block makes 64
// elements of y: it goes through the tiles of its rows, each loaded along the rows of the triangle
// in memory, so that one above the diagonal comes from the mirrored place and is turned in shared
// memory. Four threads share a row, a quarter of the tile's columns each. Bound by memory: half of
// the matrix is read once for a triangle, twice for a symmetric one.
#include "cuda/device.h"
#include "cuda/launch.h"
#include "cuda/triangle.h"

namespace espalier::cuda {
namespace {

constexpr int kTile = 64;
constexpr int kShares = 4;
constexpr int kThreads = kTile * kShares;

struct Multiply {
  const double* x;
  int64_t count;

  __device__ double factor(int64_t vector, int64_t j, int64_t n) const {
    return vector < count && j < n ? x[vector * n + j] : 0;
  }
  __device__ static double term(double element, double factor) { return element * factor; }
};

struct Square {
  static constexpr int64_t count = 1;

  __device__ static double factor(int64_t /*vector*/, int64_t /*j*/, int64_t /*n*/) { return 1; }
  __device__ static double term(double element, double /*factor*/) { return element * element; }
};

__device__ inline double element_of(const Triangle& a, int64_t i, int64_t j) {
  if (i >= a.n || j >= a.n) return 0;
  if (a.use == TriangleUse::lower && j > i) return 0;
  if (a.use == TriangleUse::transposed && j < i) return 0;
  const bool mirrored = a.use == TriangleUse::transposed || j > i;
  return mirrored ? a.data[j * a.stride + i] : a.data[i * a.stride + j];
}

template <int kVectors, class Rule>
__global__ void sum_rows(Triangle a, Rule rule, double* y) {
  __shared__ double tile[kTile][kTile + 1];
  __shared__ double factors[kVectors][kTile];
  const int64_t top = static_cast<int64_t>(blockIdx.x) * kTile;
  const int row = static_cast<int>(threadIdx.x) % kTile;
  const int share = static_cast<int>(threadIdx.x) / kTile;
  const int64_t first = a.use == TriangleUse::transposed ? top : 0;
  const int64_t end = a.use == TriangleUse::lower ? (top + kTile < a.n ? top + kTile : a.n) : a.n;
  double sum[kVectors] = {};
  for (int64_t left = first; left < end; left += kTile) {
    for (int e = static_cast<int>(threadIdx.x); e < kTile * kTile; e += kThreads) {
      const int r = left > top ? e % kTile : e / kTile;
      const int c = left > top ? e / kTile : e % kTile;
      tile[r][c] = element_of(a, top + r, left + c);
    }
    for (int e = static_cast<int>(threadIdx.x); e < kVectors * kTile; e += kThreads) {
      factors[e / kTile][e % kTile] = rule.factor(e / kTile, left + e % kTile, a.n);
    }
    __syncthreads();
    for (int s = 0; s < kTile / kShares; ++s) {
      const int c = share * (kTile / kShares) + s;
      for (int v = 0; v < kVectors; ++v) sum[v] += Rule::term(tile[row][c], factors[v][c]);
    }
    __syncthreads();
  }
  for (int v = 0; v < kVectors; ++v) tile[v * kShares + share][row] = sum[v];
  __syncthreads();
  for (int v = share; v < kVectors && v < rule.count; v += kShares) {
    double total = 0;
    for (int s = 0; s < kShares; ++s) total += tile[v * kShares + s][row];
    if (top + row < a.n) y[v * a.n + top + row] = total;
  }
}

Grid grid_of(int64_t n) {
  return {.blocks = {static_cast<unsigned>((n + kTile - 1) / kTile)}, .threads = kThreads};
}

}  // namespace

Status multiply_triangle(const CudaBackend& backend, const Triangle& a, const double* x, double* y,
                         int64_t count) {
  return launch(sum_rows<kTriangleVectors, Multiply>, grid_of(a.n), backend.stream(), a,
                Multiply{x, count}, y);
}

Status row_squares(const CudaBackend& backend, const Triangle& a, double* squares) {
  return launch(sum_rows<1, Square>, grid_of(a.n), backend.stream(), a, Square{}, squares);
}

}  // namespace espalier::cuda
