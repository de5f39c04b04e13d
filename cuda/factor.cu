// Kernels of factor.h: one pass over a matrix each. Matrices are row-major; a flag that any thread
// may raise is written without atomics, because all write the same.
#include <algorithm>
#include <cmath>

#include "cuda/column_block.h"
#include "cuda/cusolver.h"
#include "cuda/device.h"
#include "cuda/factor.h"
#include "cuda/launch.h"
#include "cuda/scratch.h"

namespace espalier::cuda {
namespace {

constexpr int kThreads = 256;

// A finite x gives x - x = 0; a sum of those is 0 only when all are finite.
template <class T>
__global__ void find_not_finite(const T* x, int64_t count, int* found) {
  T sum = 0;
  for (int64_t i = global_thread(); i < count; i += global_threads()) sum += x[i] - x[i];
  if (!(sum == 0)) *found = 1;
}

template <class T>
__global__ void widen_all(const T* x, int64_t count, double* target) {
  for (int64_t i = global_thread(); i < count; i += global_threads()) {
    target[i] = static_cast<double>(x[i]);
  }
}

template <class T>
__global__ void mean_of_diagonal(const T* h, int64_t n, double* mean) {
  __shared__ double scratch[32];
  double sum = 0;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) sum += static_cast<double>(h[i * n + i]);
  sum = block_sum(sum, scratch);
  if (threadIdx.x == 0) *mean = sum / static_cast<double>(n);
}

template <class T>
__global__ void copy_lower(const T* h, int64_t n, double lambda, double* target, int* found) {
  T sum = 0;
  for (int64_t i = blockIdx.y; i < n; i += gridDim.y) {
    for (int64_t j = global_thread(); j <= i; j += global_threads()) {
      const T value = h[i * n + j];
      sum += value - value;
      target[i * n + j] = static_cast<double>(value) + (i == j ? lambda : 0);
    }
  }
  if (!(sum == 0)) *found = 1;
}

// diagonal[j] = Σ_{i>=j} lower_ij².
__global__ void column_squares(const double* lower, int64_t n, double* diagonal) {
  __shared__ double scratch[kDown][kAcross];
  const int64_t column = block_column();
  double sum = 0;
  // From the block's first column on, the rows that all of its threads share.
  for (int64_t i = column - threadIdx.x + threadIdx.y; i < n; i += kDown) {
    const double value = column <= i ? lower[i * n + column] : 0;
    sum += value * value;
  }
  sum = column_sum(sum, scratch);
  if (threadIdx.y == 0 && column < n) diagonal[column] = sum;
}

template <class Body>
Status with_float_type(const ConstView& x, Body&& body) {
  return x.dtype == DType::f64 ? body(x.as<double>()) : body(x.as<float>());
}

}  // namespace

Status read_info(CudaBackend& backend, const int* info, int& value) {
  return backend.copy_to_host(&value, {.data = info, .dtype = DType::i32, .shape = {}});
}

Status read_number(CudaBackend& backend, const double* number, double& value) {
  return backend.copy_to_host(&value, {.data = number, .dtype = DType::f64, .shape = {}});
}

Status expect_finite(CudaBackend& backend, const ConstView& x, const char* name) {
  const int64_t count = x.shape.elements();
  return check_flag(
      backend,
      [&](int* flag) {
        return with_float_type(x, [&](const auto* values) {
          return launch(find_not_finite<std::remove_cvref_t<decltype(*values)>>,
                        {.blocks = blocks_for(count, kThreads, 4096), .threads = kThreads},
                        backend.stream(), values, count, flag);
        });
      },
      [name](int) { return not_finite(name); });
}

Status copy_to_f64(CudaBackend& backend, const ConstView& x, double* target) {
  const int64_t count = x.shape.elements();
  return with_float_type(x, [&](const auto* values) {
    return launch(widen_all<std::remove_cvref_t<decltype(*values)>>,
                  {.blocks = blocks_for(count, kThreads), .threads = kThreads}, backend.stream(),
                  values, count, target);
  });
}

Status damping_of(CudaBackend& backend, const ConstView& h, double factor, bool relative,
                  double& lambda) {
  lambda = factor;
  if (!relative || factor == 0) return {};
  const Scratch<double> mean(backend, 1);
  if (mean.data() == nullptr) return out_of_scratch();
  Status status = with_float_type(h, [&](const auto* values) {
    return launch(mean_of_diagonal<std::remove_cvref_t<decltype(*values)>>,
                  {.blocks = 1, .threads = 1024}, backend.stream(), values, h.shape.columns(),
                  mean.data());
  });
  if (!status.ok()) return status;
  double found = 0;
  if (status = read_number(backend, mean.data(), found); !status.ok()) return status;
  lambda = factor * found;
  return {};
}

Status copy_damped(CudaBackend& backend, const ConstView& h, double lambda, double* target) {
  const int64_t n = h.shape.columns();
  if (!std::isfinite(lambda)) return not_finite("the matrix");
  return check_flag(
      backend,
      [&](int* flag) {
        return with_float_type(h, [&](const auto* values) {
          return launch(copy_lower<std::remove_cvref_t<decltype(*values)>>,
                        {.blocks = {blocks_for(n, kThreads).x,
                                    static_cast<unsigned>(std::min<int64_t>(n, 256))},
                         .threads = kThreads},
                        backend.stream(), values, n, lambda, target, flag);
        });
      },
      [](int) { return not_finite("the matrix"); });
}

Status factor_in_place(CudaBackend& backend, double* matrix, int64_t n) {
  return check_info(
      backend, [&](int* info) { return backend.cusolver().cholesky(backend, matrix, n, info); },
      [n](int minor) { return not_positive_definite(n, minor); });
}

Status factor_damped(CudaBackend& backend, const ConstView& h, double lambda, double* factor) {
  if (Status status = copy_damped(backend, h, lambda, factor); !status.ok()) return status;
  return factor_in_place(backend, factor, h.shape.columns());
}

Status invert_factor(CudaBackend& backend, double* factor, int64_t n) {
  return check_info(
      backend,
      [&](int* info) { return backend.cusolver().invert_triangle(backend, factor, n, info); },
      singular_factor);
}

Status inverse_diagonal(CudaBackend& backend, const double* inverse, int64_t n, double* diagonal) {
  return launch(column_squares, column_grid(n), backend.stream(), inverse, n, diagonal);
}

Status invert_product(CudaBackend& backend, double* factor, int64_t n) {
  return check_info(
      backend, [&](int* info) { return backend.cusolver().invert(backend, factor, n, info); },
      singular_factor);
}

Status solve_rows(CudaBackend& backend, const double* factor, int64_t n, double* rows,
                  int64_t count) {
  // With a factor there is always a solution; what is not finite shows in it.
  const Scratch<int> info(backend, 1);
  if (info.data() == nullptr) return out_of_scratch();
  return backend.cusolver().cholesky_solve(backend, factor, n, n, rows, count, info.data());
}

}  // namespace espalier::cuda
