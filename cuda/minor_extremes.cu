// The k largest eigenpairs (λ_i, v_i) of A, in units of the largest: distances e_i = 1 - λ_i/λ_max.
// The rest of the spectrum enters the secular equation of column j by the moments of its weights
// v_ji², known from 1, A_jj and ‖A_:j‖²; Gauss-Radau rules at either end of the rest bound the root
// from both sides (Golub & Meurant). The basis grows until the bounds agree. Everything is f64.
#include <algorithm>
#include <vector>

#include "binding/core/minor_extremes.h"
#include "cuda/block_lanczos.h"
#include "cuda/column_block.h"
#include "cuda/factor.h"
#include "cuda/minor_extremes.h"
#include "cuda/scratch.h"
#include "cuda/secular.h"
#include "cuda/triangle.h"

namespace espalier::cuda {
namespace {

// moments[j]: of the weight beyond the first k eigenpairs.
__global__ void rest_moments(MinorSpectrum s, Moments* moments) {
  __shared__ double scratch[kDown][kAcross];
  const int64_t column = block_column();
  const int64_t mine = column < s.n ? column : s.n - 1;
  Moments taken{0, 0, 0};
  for (int64_t i = threadIdx.y; i < s.k; i += kDown) {
    const double v = s.vectors[(s.k - 1 - i) * s.n + mine];
    const double d = s.distances[i];
    taken.zeroth += v * v;
    taken.first += d * v * v;
    taken.second += d * d * v * v;
  }
  taken.zeroth = column_sum(taken.zeroth, scratch);
  taken.first = column_sum(taken.first, scratch);
  taken.second = column_sum(taken.second, scratch);
  if (threadIdx.y != 0 || column >= s.n) return;
  const Moments whole = whole_moments(s, column);
  moments[column] = {whole.zeroth - taken.zeroth, whole.first - taken.first,
                     whole.second - taken.second};
}

__global__ void rule_terms(const Moments* moments, int64_t n, double end, double nearest,
                           MinorOf question, double* extras) {
  for (int64_t j = global_thread(); j < n; j += global_threads()) {
    write_rule(moments[j], end, nearest, question, n, j, extras);
  }
}

// The mean of both bounds; *apart = 1 where they do not agree.
__global__ void take_mean(const double* low, const double* high, int64_t n, double largest,
                          double* result, int* apart) {
  for (int64_t j = global_thread(); j < n; j += global_threads()) {
    result[j] = largest * (1 - 0.5 * (low[j] + high[j]));
    if (!(fabs(high[j] - low[j]) <= kMinorAgreement * (1 - high[j]))) *apart = 1;
  }
}

Grid grid_of(int64_t n) { return {.blocks = blocks_for(n, 256), .threads = 256}; }

// Device memory of one call.
struct Memory {
  Moments* moments;
  double* extras;     // [4, n]
  double* low;        // [n]
  double* high;       // [n]
  double* distances;  // [most]
  double* factors;    // [most], 1 - distances
};

// Queues the roots with the rest as the Radau rule of `end`.
Status roots_with(const CudaBackend& backend, const MinorSpectrum& s, const Memory& memory,
                  double end, double nearest, MinorOf question, double* roots) {
  Status status = launch(rule_terms, grid_of(s.n), backend.stream(), memory.moments, s.n, end,
                         nearest, question, memory.extras);
  if (!status.ok()) return status;
  return solve_secular(backend,
                       {.distances = s.distances,
                        .vectors = s.vectors + (s.k - 1) * s.n,
                        .stride = -s.n,
                        .factors = question == MinorOf::inverse ? memory.factors : nullptr,
                        .k = s.k,
                        .n = s.n,
                        .extra = 2,
                        .extra_distances = memory.extras,
                        .extra_weights = memory.extras + 2 * s.n},
                       roots);
}

}  // namespace

Status minor_extremes(CudaBackend& backend, const double* a, int64_t n, MinorOf question,
                      double* result) {
  BlockLanczos lanczos(backend, n, kMostMinorVectors);
  const int64_t most = std::min(n, kMostMinorVectors);
  const auto size = static_cast<size_t>(n);
  const Scratch<double> vectors(backend, static_cast<size_t>(most) * size);
  const Scratch<double> numbers(backend, 7 * size + static_cast<size_t>(2 * most));
  const Scratch<Moments> moments(backend, size);
  const Scratch<int> apart(backend, 1);
  if (!lanczos.allocated() || vectors.data() == nullptr || numbers.data() == nullptr ||
      moments.data() == nullptr || apart.data() == nullptr) {
    return out_of_scratch();
  }
  double* const squares = numbers.data();
  double* const extras = squares + n;
  double* const low = extras + 4 * n;
  double* const high = low + n;
  double* const distances = high + n;
  const Memory memory{moments.data(), extras, low, high, distances, distances + most};
  const Triangle matrix{a, n, n, TriangleUse::symmetric};
  if (Status status = row_squares(backend, matrix, squares); !status.ok()) return status;
  const auto apply = [&](const double* x, double* y, int64_t count) {
    return multiply_triangle(backend, matrix, x, y, count);
  };
  for (;;) {
    Status status = lanczos.extend(lanczos.size() + kMoreMinorVectors, apply);
    if (!status.ok()) return status;
    const double largest = lanczos.value(0);
    if (largest <= 0) {
      return status_of(cudaMemsetAsync(result, 0, sizeof(double) * size, backend.stream()),
                       "clear");
    }
    int64_t k = 2;
    while (k < lanczos.size() && lanczos.residual(k) <= kMinorConverged * largest) ++k;
    std::vector<double> shared(static_cast<size_t>(2 * k));
    for (int64_t i = 0; i < k; ++i) {
      const double distance = std::clamp(1 - lanczos.value(i) / largest, 0.0, 1.0);
      shared[static_cast<size_t>(i)] = distance;
      shared[static_cast<size_t>(k + i)] = 1 - distance;
    }
    const double nearest = shared[static_cast<size_t>(k - 1)];
    if (status = backend.copy_from_host({distances, DType::f64, {k}}, shared.data());
        !status.ok()) {
      return status;
    }
    if (status = backend.copy_from_host({memory.factors, DType::f64, {k}}, shared.data() + k);
        !status.ok()) {
      return status;
    }
    if (status = lanczos.vectors(k, vectors.data()); !status.ok()) return status;
    const MinorSpectrum spectrum{distances, vectors.data(), k, n, largest, a, n + 1, squares};
    if (status = launch(rest_moments, column_grid(n), backend.stream(), spectrum, moments.data());
        !status.ok()) {
      return status;
    }
    if (status = roots_with(backend, spectrum, memory, nearest, nearest, question, low);
        !status.ok()) {
      return status;
    }
    if (status = roots_with(backend, spectrum, memory, 1, nearest, question, high); !status.ok()) {
      return status;
    }
    const cudaError_t error = cudaMemsetAsync(apart.data(), 0, sizeof(int), backend.stream());
    if (error != cudaSuccess) return status_of(error, "clear");
    if (status = launch(take_mean, grid_of(n), backend.stream(), low, high, n, largest, result,
                        apart.data());
        !status.ok()) {
      return status;
    }
    int disagree = 0;
    if (status = read_info(backend, apart.data(), disagree); !status.ok()) return status;
    if (disagree == 0 || lanczos.size() == lanczos.most()) return {};
  }
}

}  // namespace espalier::cuda
