#include "binding/cpu/minor_extremes.h"

#include <algorithm>
#include <cmath>

#include "binding/core/minor_extremes.h"
#include "binding/cpu/block_lanczos.h"
#include "binding/cpu/lapack.h"
#include "binding/cpu/secular.h"
#include "binding/cpu/symmetric.h"

namespace espalier::cpu {
namespace {

// moments[j]: of the weight beyond the first k eigenpairs.
void rest_moments(const MinorSpectrum& s, Moments* moments) {
  constexpr int64_t kBlock = 128;
#pragma omp parallel for schedule(static)
  for (int64_t start = 0; start < s.n; start += kBlock) {
    const int64_t end = std::min(s.n, start + kBlock);
    for (int64_t j = start; j < end; ++j) moments[j] = whole_moments(s, j);
    for (int64_t i = 0; i < s.k; ++i) {
      const double* v = s.vectors + (s.k - 1 - i) * s.n;
      const double d = s.distances[i];
      for (int64_t j = start; j < end; ++j) {
        const double w = v[j] * v[j];
        moments[j].zeroth -= w;
        moments[j].first -= d * w;
        moments[j].second -= d * d * w;
      }
    }
  }
}

// Roots with the rest as the Radau rule of `end`; `extras` is scratch [4, n].
Status roots_with(const MinorSpectrum& s, const Moments* moments, double end, MinorOf question,
                  const double* factors, double* extras, double* roots) {
  const int64_t n = s.n;
  const double nearest = s.distances[s.k - 1];
  for (int64_t j = 0; j < n; ++j) write_rule(moments[j], end, nearest, question, n, j, extras);
  return solve_secular({.distances = s.distances,
                        .vectors = s.vectors + (s.k - 1) * n,
                        .stride = -n,
                        .factors = question == MinorOf::inverse ? factors : nullptr,
                        .k = s.k,
                        .n = n,
                        .extra = 2,
                        .extra_distances = extras,
                        .extra_weights = extras + 2 * n},
                       roots);
}

}  // namespace

Status minor_extremes(const double* a, int64_t n, MinorOf question, double* result) {
  BlockLanczos lanczos(n, kMostMinorVectors);
  const int64_t most = std::min(n, kMostMinorVectors);
  const auto size = static_cast<size_t>(n);
  const Scratch<double> vectors(static_cast<size_t>(most) * size);
  const Scratch<double> numbers(8 * size + static_cast<size_t>(2 * most));
  const Scratch<Moments> moments(size);
  if (!lanczos.allocated() || vectors.data() == nullptr || numbers.data() == nullptr ||
      moments.data() == nullptr) {
    return out_of_scratch();
  }
  double* diagonal = numbers.data();
  double* squares = diagonal + n;
  double* extras = squares + n;
  double* low = extras + 4 * n;
  double* high = low + n;
  double* distances = high + n;
  double* factors = distances + most;
  symmetric_moments(a, n, diagonal, squares);
  const auto apply = [&](const double* x, double* y, int64_t count) {
    symmetric_product(a, n, x, y, count);
  };
  for (;;) {
    if (Status status = lanczos.extend(lanczos.size() + kMoreMinorVectors, apply); !status.ok()) {
      return status;
    }
    const double largest = lanczos.value(0);
    if (largest <= 0) {
      std::fill_n(result, n, 0.0);
      return {};
    }
    int64_t k = 2;
    while (k < lanczos.size() && lanczos.residual(k) <= kMinorConverged * largest) ++k;
    for (int64_t i = 0; i < k; ++i) {
      distances[i] = std::clamp(1 - lanczos.value(i) / largest, 0.0, 1.0);
      factors[i] = 1 - distances[i];
    }
    lanczos.vectors(k, vectors.data());
    const MinorSpectrum spectrum{distances, vectors.data(), k, n, largest, diagonal, 1, squares};
    rest_moments(spectrum, moments.data());
    if (Status status =
            roots_with(spectrum, moments.data(), distances[k - 1], question, factors, extras, low);
        !status.ok()) {
      return status;
    }
    if (Status status = roots_with(spectrum, moments.data(), 1, question, factors, extras, high);
        !status.ok()) {
      return status;
    }
    bool agreed = true;
    for (int64_t j = 0; j < n; ++j) {
      agreed = agreed && std::abs(high[j] - low[j]) <= kMinorAgreement * (1 - high[j]);
      result[j] = largest * (1 - 0.5 * (low[j] + high[j]));
    }
    if (agreed || lanczos.size() == lanczos.most()) return {};
  }
}

}  // namespace espalier::cpu
