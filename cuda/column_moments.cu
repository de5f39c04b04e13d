// Mean and sum of squared deviations M2 of every column, in f64. x: [N, D] f32; output: [2, D] f64.
// A block takes 256 rows of 32 columns: a thread keeps its rows in registers, so x is read once
// though a chunk needs two passes, for its mean m' and for its M2'. One thread a column then merges
// the chunks in order with what was there (n rows, m, M2) by Chan's rule, with δ = m' - m and
// n'' = n + n':  m + δ n'/n'',  M2 + M2' + δ² n n'/n''.  Bound by memory.
#include <algorithm>

#include "cuda/column_block.h"
#include "cuda/cuda_backend.h"
#include "cuda/device.h"
#include "cuda/launch.h"
#include "cuda/scratch.h"

namespace espalier::cuda {
namespace {

constexpr int kEach = 32;
constexpr int64_t kRows = kDown * kEach;

// moments[chunk, 0 and 1, c]: mean and M2; blockIdx.x is the chunk.
__global__ void __launch_bounds__(kAcross* kDown, 2)
    chunk_moments(const float* x, int64_t rows, int64_t columns, double* moments) {
  __shared__ double scratch[kDown][kAcross];
  const int64_t chunk = blockIdx.x;
  const int64_t start = chunk * kRows;
  const int64_t taken = rows - start < kRows ? rows - start : kRows;
  const int64_t step = static_cast<int64_t>(gridDim.y) * kAcross;
  for (int64_t first = static_cast<int64_t>(blockIdx.y) * kAcross; first < columns; first += step) {
    const int64_t column = first + threadIdx.x;
    const bool inside = column < columns;
    float values[kEach];
    double sum = 0;
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      const int64_t row = threadIdx.y + i * kDown;
      values[i] = inside && row < taken ? x[(start + row) * columns + column] : 0.0F;
      sum += static_cast<double>(values[i]);
    }
    const double mean = column_sum(sum, scratch) / static_cast<double>(taken);
    double squares = 0;
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      const double deviation = static_cast<double>(values[i]) - mean;
      if (threadIdx.y + i * kDown < taken) squares += deviation * deviation;
    }
    squares = column_sum(squares, scratch);
    if (inside && threadIdx.y == 0) {
      moments[2 * chunk * columns + column] = mean;
      moments[(2 * chunk + 1) * columns + column] = squares;
    }
  }
}

__global__ void merge_moments(const double* moments, int64_t rows, int64_t columns, int64_t count,
                              double* output) {
  for (int64_t c = global_thread(); c < columns; c += global_threads()) {
    double mean = count > 0 ? output[c] : 0.0;
    double m2 = count > 0 ? output[columns + c] : 0.0;
    auto before = static_cast<double>(count);
#pragma unroll 4
    for (int64_t start = 0; start < rows; start += kRows) {
      const auto added = static_cast<double>(rows - start < kRows ? rows - start : kRows);
      const double* chunk = moments + start / kRows * 2 * columns;
      const double share = added / (before + added);
      const double delta = chunk[c] - mean;
      mean += delta * share;
      m2 += chunk[columns + c] + delta * delta * before * share;
      before += added;
    }
    output[c] = mean;
    output[columns + c] = m2;
  }
}

}  // namespace

Status CudaBackend::column_moments(const ColumnMomentsArguments& a) {
  const int64_t rows = a.x.shape.rows();
  const int64_t columns = a.x.shape.columns();
  const int64_t chunks = (rows + kRows - 1) / kRows;
  const int64_t tiles = (columns + kAcross - 1) / kAcross;
  const Scratch<double> moments(*this, static_cast<size_t>(chunks * 2 * columns));
  if (moments.data() == nullptr) return out_of_scratch();
  const Grid grid{.blocks = {static_cast<unsigned>(chunks),
                             static_cast<unsigned>(std::min<int64_t>(tiles, 65535))},
                  .threads = {kAcross, kDown}};
  if (Status status =
          launch(chunk_moments, grid, stream(), a.x.as<float>(), rows, columns, moments.data());
      !status.ok()) {
    return status;
  }
  return launch(merge_moments, {.blocks = blocks_for(columns, 128), .threads = 128}, stream(),
                moments.data(), rows, columns, a.count, a.output.as<double>());
}

}  // namespace espalier::cuda
