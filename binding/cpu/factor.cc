#include "binding/cpu/factor.h"

#include <algorithm>
#include <cmath>

#include "binding/cpu/lapack.h"

namespace espalier::cpu {
namespace {

// A finite x gives x - x = 0; a sum of those is 0 only when all are finite.
template <class T>
bool finite_row(const T* x, int64_t count) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < count; ++i) sum += x[i] - x[i];
  return sum == 0;
}

template <class T>
bool finite_array(const T* x, int64_t count) {
  constexpr int64_t kBlock = 16384;
  bool finite = true;
#pragma omp parallel for schedule(static) reduction(&& : finite) if (count > 4 * kBlock)
  for (int64_t start = 0; start < count; start += kBlock) {
    finite = finite && finite_row(x + start, count - start < kBlock ? count - start : kBlock);
  }
  return finite;
}

template <class T>
double mean_diagonal(const T* h, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(h[i * n + i]);
  return n == 0 ? 0 : sum / static_cast<double>(n);
}

template <class T>
bool copy_lower(const T* h, double lambda, double* target, int64_t n) {
  bool finite = true;
#pragma omp parallel for schedule(static, 16) reduction(&& : finite) if (n > 256)
  for (int64_t i = 0; i < n; ++i) {
    const T* source = h + i * n;
    double* row = target + i * n;
    finite = finite && finite_row(source, i + 1);
    for (int64_t j = 0; j <= i; ++j) row[j] = static_cast<double>(source[j]);
    row[i] += lambda;
  }
  return finite;
}

}  // namespace

bool all_finite(const ConstView& x) {
  return x.dtype == DType::f64 ? finite_array(x.as<double>(), x.shape.elements())
                               : finite_array(x.as<float>(), x.shape.elements());
}

bool all_finite(const double* x, int64_t count) { return finite_array(x, count); }

void copy_to_f64(const ConstView& x, double* target) {
  const int64_t count = x.shape.elements();
  if (x.dtype == DType::f64) {
    const auto* source = x.as<double>();
#pragma omp parallel for schedule(static) if (count > 65536)
    for (int64_t i = 0; i < count; ++i) target[i] = source[i];
  } else {
    const auto* source = x.as<float>();
#pragma omp parallel for schedule(static) if (count > 65536)
    for (int64_t i = 0; i < count; ++i) target[i] = static_cast<double>(source[i]);
  }
}

double damping_of(const ConstView& h, double factor, bool relative) {
  if (!relative || factor == 0) return factor;
  const int64_t n = h.shape.columns();
  return factor * (h.dtype == DType::f64 ? mean_diagonal(h.as<double>(), n)
                                         : mean_diagonal(h.as<float>(), n));
}

Status copy_damped(const ConstView& h, double lambda, double* target) {
  const int64_t n = h.shape.columns();
  const bool finite = h.dtype == DType::f64 ? copy_lower(h.as<double>(), lambda, target, n)
                                            : copy_lower(h.as<float>(), lambda, target, n);
  return finite && std::isfinite(lambda) ? Status() : not_finite("the matrix");
}

Status factor_in_place(double* matrix, int64_t n) {
  const auto order = static_cast<LapackInt>(n);
  LapackInt info = 0;
  if (n > 0) dpotrf_("U", &order, matrix, &order, &info);
  return info == 0 ? Status() : not_positive_definite(n, info);
}

Status factor_damped(const ConstView& h, double lambda, double* factor) {
  if (Status status = copy_damped(h, lambda, factor); !status.ok()) return status;
  return factor_in_place(factor, h.shape.columns());
}

Status invert_factor(double* factor, int64_t n) {
  const auto order = static_cast<LapackInt>(n);
  if (n == 0) return {};
  LapackInt info = 0;
  dtrtri_("U", "N", &order, factor, &order, &info);
  return info == 0 ? Status() : singular_factor(info);
}

void inverse_diagonal(const double* inverse, int64_t n, double* diagonal) {
  constexpr int64_t kBlock = 128;
#pragma omp parallel for schedule(static, 1) if (n > kBlock)
  for (int64_t start = 0; start < n; start += kBlock) {
    const int64_t end = std::min(n, start + kBlock);
    for (int64_t j = start; j < end; ++j) diagonal[j] = 0;
    for (int64_t i = start; i < n; ++i) {
      const double* row = inverse + i * n;
      const int64_t last = std::min(end, i + 1);
      for (int64_t j = start; j < last; ++j) diagonal[j] += row[j] * row[j];
    }
  }
}

Status multiply_inverse(double* inverse, int64_t n) {
  const auto order = static_cast<LapackInt>(n);
  LapackInt info = 0;
  if (n > 0) dlauum_("U", &order, inverse, &order, &info);
  if (info != 0) return {ErrorCode::numeric, "the inverse could not be formed"};
  return {};
}

}  // namespace espalier::cpu
