#include "binding/cpu/minor_extremes.h"

#include <algorithm>
#include <cmath>

#include "binding/core/radau.h"
#include "binding/cpu/block_lanczos.h"
#include "binding/cpu/lapack.h"
#include "binding/cpu/secular.h"
#include "binding/cpu/symmetric.h"

namespace espalier::cpu {
namespace {

constexpr int64_t kMostVectors = 256;
constexpr int64_t kMoreVectors = 32;
// Ritz pairs this exact, in units of the largest eigenvalue, count as eigenpairs.
constexpr double kConverged = 1e-9;
constexpr double kAgreement = 1e-6;

// Everything in units of the largest eigenvalue: distances from it are e = 1 - λ/λ_max in [0, 1].
struct Spectrum {
  const double* distances;  // [k]
  const double* vectors;    // [k, n], the largest eigenvalue's last
  int64_t k;
  int64_t n;
  double largest;
  const double* diagonal;  // A_jj
  const double* squares;   // ‖A_:j‖²
};

void rest_moments(const Spectrum& s, Moments* moments) {
  constexpr int64_t kBlock = 128;
#pragma omp parallel for schedule(static)
  for (int64_t start = 0; start < s.n; start += kBlock) {
    const int64_t end = std::min(s.n, start + kBlock);
    for (int64_t j = start; j < end; ++j) {
      const double mean = s.diagonal[j] / s.largest;
      const double square = s.squares[j] / s.largest / s.largest;
      moments[j] = {1, 1 - mean, 1 - 2 * mean + square};
    }
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
Status roots_with(const Spectrum& s, const Moments* moments, double end, const double* factors,
                  double* extras, double* roots) {
  const int64_t n = s.n;
  const double nearest = s.distances[s.k - 1];
  const bool inverse = factors != nullptr;
  for (int64_t j = 0; j < n; ++j) {
    const RadauRule rule = radau_rule(moments[j], end, nearest);
    extras[j] = rule.distance;
    extras[n + j] = end;
    extras[2 * n + j] = rule.weight * (inverse ? 1 - rule.distance : 1);
    extras[3 * n + j] = rule.end_weight * (inverse ? 1 - end : 1);
  }
  return solve_secular({.distances = s.distances,
                        .vectors = s.vectors + (s.k - 1) * n,
                        .stride = -n,
                        .factors = factors,
                        .k = s.k,
                        .n = n,
                        .extra = 2,
                        .extra_distances = extras,
                        .extra_weights = extras + 2 * n},
                       roots);
}

}  // namespace

Status minor_extremes(const double* a, int64_t n, MinorOf question, double* result) {
  BlockLanczos lanczos(n, kMostVectors);
  const int64_t most = std::min(n, kMostVectors);
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
    if (Status status = lanczos.extend(lanczos.size() + kMoreVectors, apply); !status.ok()) {
      return status;
    }
    const double largest = lanczos.value(0);
    if (largest <= 0) {
      std::fill_n(result, n, 0.0);
      return {};
    }
    int64_t k = 2;
    while (k < lanczos.size() && lanczos.residual(k) <= kConverged * largest) ++k;
    for (int64_t i = 0; i < k; ++i) {
      distances[i] = std::clamp(1 - lanczos.value(i) / largest, 0.0, 1.0);
      factors[i] = 1 - distances[i];
    }
    lanczos.vectors(k, vectors.data());
    const Spectrum spectrum{distances, vectors.data(), k, n, largest, diagonal, squares};
    rest_moments(spectrum, moments.data());
    const double* weights = question == MinorOf::inverse ? factors : nullptr;
    if (Status status =
            roots_with(spectrum, moments.data(), distances[k - 1], weights, extras, low);
        !status.ok()) {
      return status;
    }
    if (Status status = roots_with(spectrum, moments.data(), 1, weights, extras, high);
        !status.ok()) {
      return status;
    }
    bool agreed = true;
    for (int64_t j = 0; j < n; ++j) {
      agreed = agreed && std::abs(high[j] - low[j]) <= kAgreement * (1 - high[j]);
      result[j] = largest * (1 - 0.5 * (low[j] + high[j]));
    }
    if (agreed || lanczos.size() == lanczos.most()) return {};
  }
}

}  // namespace espalier::cpu
