// Sums of a matrix over its rows (one value per column) or over its columns (one per row), in f64.
// x: [R, C] f32 or f64. Threads of a block stand in a rectangle: neighbours along x read
// neighbouring elements. Each block sums a part of fixed size of its rows (or columns); where there
// are several parts, their sums form a smaller matrix that is summed in the same way. Bound by
// memory.
#include <algorithm>

#include "cuda/column_sums.h"
#include "cuda/device.h"
#include "cuda/launch.h"
#include "cuda/scratch.h"

namespace espalier::cuda {
namespace {

constexpr int64_t kThreads = 256;
// Elements of one sum that a thread takes before the block puts its sums together.
constexpr int64_t kEach = 64;

// Threads along x: enough for the columns, as far as a block goes.
int64_t threads_across(int64_t columns, int64_t limit) {
  int64_t across = 1;
  while (across < columns && across < limit) across *= 2;
  return across;
}

// sums[part, c] = Σ x[r, c] over the rows of the part; blockIdx.x is the part.
template <class T>
__global__ void part_column_sums(const T* x, int64_t rows, int64_t columns, double* sums) {
  __shared__ double scratch[kThreads];
  const int64_t height = kEach * blockDim.y;
  const int64_t start = blockIdx.x * height;
  const int64_t end = start + height < rows ? start + height : rows;
  const unsigned place = threadIdx.y * blockDim.x + threadIdx.x;
  const int64_t step = static_cast<int64_t>(gridDim.y) * blockDim.x;
  for (int64_t first = static_cast<int64_t>(blockIdx.y) * blockDim.x; first < columns;
       first += step) {
    const int64_t column = first + threadIdx.x;
    double sum = 0;
    if (column < columns) {
#pragma unroll 4
      for (int64_t row = start + threadIdx.y; row < end; row += blockDim.y) {
        sum += static_cast<double>(x[row * columns + column]);
      }
    }
    scratch[place] = sum;
    __syncthreads();
    for (unsigned half = blockDim.y / 2; half > 0; half /= 2) {
      if (threadIdx.y < half) scratch[place] += scratch[place + half * blockDim.x];
      __syncthreads();
    }
    if (threadIdx.y == 0 && column < columns) {
      sums[blockIdx.x * columns + column] = scratch[threadIdx.x];
    }
    __syncthreads();
  }
}

// sums[r, part] = Σ x[r, c] over the columns of the part; blockIdx.y is the part.
template <class T>
__global__ void part_row_sums(const T* x, int64_t rows, int64_t columns, double* sums) {
  __shared__ double scratch[kThreads];
  const int64_t width = kEach * blockDim.x;
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.y;
  const unsigned place = threadIdx.y * blockDim.x + threadIdx.x;
  const int64_t parts = (columns + width - 1) / width;
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.y; first < rows; first += step) {
    const int64_t row = first + threadIdx.y;
    for (int64_t part = blockIdx.y; part < parts; part += gridDim.y) {
      const int64_t end = (part + 1) * width < columns ? (part + 1) * width : columns;
      double sum = 0;
      if (row < rows) {
#pragma unroll 4
        for (int64_t column = part * width + threadIdx.x; column < end; column += blockDim.x) {
          sum += static_cast<double>(x[row * columns + column]);
        }
      }
      scratch[place] = sum;
      __syncthreads();
      for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) scratch[place] += scratch[place + half];
        __syncthreads();
      }
      if (threadIdx.x == 0 && row < rows) sums[row * parts + part] = scratch[place];
      __syncthreads();
    }
  }
}

Status clear_sums(CudaBackend& backend, double* output, int64_t count) {
  return backend.clear({.data = output, .dtype = DType::f64, .shape = Shape{count}});
}

template <class T>
Status row_sums(CudaBackend& backend, const T* x, int64_t rows, int64_t columns, double* output) {
  if (columns == 0) return clear_sums(backend, output, rows);
  const int64_t across = threads_across(columns, kThreads);
  const int64_t down = kThreads / across;
  const int64_t parts = (columns + kEach * across - 1) / (kEach * across);
  const Grid grid{
      .blocks = {blocks_for(rows, down).x, static_cast<unsigned>(std::min<int64_t>(parts, 65535))},
      .threads = {static_cast<unsigned>(across), static_cast<unsigned>(down)}};
  if (parts == 1) {
    return launch(part_row_sums<T>, grid, backend.stream(), x, rows, columns, output);
  }
  const Scratch<double> partial(backend, static_cast<size_t>(rows * parts));
  if (partial.data() == nullptr) return out_of_scratch();
  if (Status status =
          launch(part_row_sums<T>, grid, backend.stream(), x, rows, columns, partial.data());
      !status.ok()) {
    return status;
  }
  return row_sums<double>(backend, partial.data(), rows, parts, output);
}

}  // namespace

template <class T>
Status column_sums(CudaBackend& backend, const T* x, int64_t rows, int64_t columns,
                   double* output) {
  if (rows == 0) return clear_sums(backend, output, columns);
  const int64_t across = threads_across(columns, 32);
  const int64_t down = kThreads / across;
  const int64_t parts = (rows + kEach * down - 1) / (kEach * down);
  const int64_t tiles = (columns + across - 1) / across;
  const Grid grid{.blocks = {static_cast<unsigned>(parts),
                             static_cast<unsigned>(std::min<int64_t>(tiles, 65535))},
                  .threads = {static_cast<unsigned>(across), static_cast<unsigned>(down)}};
  if (parts == 1) {
    return launch(part_column_sums<T>, grid, backend.stream(), x, rows, columns, output);
  }
  const Scratch<double> partial(backend, static_cast<size_t>(parts * columns));
  if (partial.data() == nullptr) return out_of_scratch();
  if (Status status =
          launch(part_column_sums<T>, grid, backend.stream(), x, rows, columns, partial.data());
      !status.ok()) {
    return status;
  }
  return column_sums<double>(backend, partial.data(), parts, columns, output);
}

template Status column_sums<float>(CudaBackend&, const float*, int64_t, int64_t, double*);
template Status column_sums<double>(CudaBackend&, const double*, int64_t, int64_t, double*);

Status CudaBackend::sum(const SumArguments& a) {
  const int64_t rows = a.x.shape.rows();
  const int64_t columns = a.x.shape.columns();
  auto* output = a.output.as<double>();
  if (a.x.dtype == DType::f64) {
    const auto* x = a.x.as<double>();
    return a.columns ? row_sums(*this, x, rows, columns, output)
                     : column_sums(*this, x, rows, columns, output);
  }
  const auto* x = a.x.as<float>();
  return a.columns ? row_sums(*this, x, rows, columns, output)
                   : column_sums(*this, x, rows, columns, output);
}

}  // namespace espalier::cuda
