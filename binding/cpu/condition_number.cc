// σ_max/σ_min of a [m, n], f32 or f64.
//
// svd: all singular values by LAPACK.
// lanczos: with A = Q R (Q dropped; of the transpose when the matrix is wide), σ_max² is the
// largest eigenvalue of RᵀR and σ_min⁻² that of (RᵀR)⁻¹, each by block Lanczos with two triangular
// products or solves a step. R has the singular values of A to rounding, so nothing is lost by
// squaring A; Ritz values lie below the eigenvalues, so the ratio is a lower bound. k = min(m, n),
// R: [k, k].
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "binding/cpu/block_lanczos.h"
#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/decompose.h"
#include "binding/cpu/lapack.h"
#include "binding/cpu/scratch.h"

namespace espalier::cpu {
namespace {

constexpr int64_t kMostVectors = 256;
constexpr int64_t kMoreVectors = 32;
// The Ritz value's error is at most its residual; of the order of its square when separated.
constexpr double kConverged = 1e-8;

// The largest eigenvalue of an operator of order k.
Status largest_eigenvalue(int64_t k, const SymmetricOperator& apply, double* value) {
  BlockLanczos lanczos(k, kMostVectors);
  if (!lanczos.allocated()) return out_of_scratch();
  do {
    if (Status status = lanczos.extend(lanczos.size() + kMoreVectors, apply); !status.ok()) {
      return status;
    }
    *value = lanczos.value(0);
  } while (lanczos.size() < lanczos.most() && lanczos.residual(0) > kConverged * *value);
  return {};
}

// Replaces a (Fortran's [rows, columns]) by its QR factors.
Status factor_qr(double* a, LapackInt rows, LapackInt columns) {
  const LapackInt ask = -1;
  LapackInt info = 0;
  double size = 0;
  const Scratch<double> reflectors(static_cast<size_t>(std::min(rows, columns)));
  if (reflectors.data() == nullptr) return out_of_scratch();
  dgeqrf_(&rows, &columns, a, &rows, reflectors.data(), &size, &ask, &info);
  const auto doubles = static_cast<LapackInt>(size);
  const Scratch<double> work(static_cast<size_t>(doubles));
  if (work.data() == nullptr) return out_of_scratch();
  dgeqrf_(&rows, &columns, a, &rows, reflectors.data(), work.data(), &doubles, &info);
  if (info != 0) return {ErrorCode::numeric, "the QR factorisation failed"};
  return {};
}

Status by_lanczos(double* a, int64_t m, int64_t n, double* condition) {
  // To Fortran a is [n, m]; when that is wide, the transpose makes it tall.
  const int64_t longest = std::max(m, n);
  const int64_t k = std::min(m, n);
  const Scratch<double> tall(static_cast<size_t>(m > n ? longest * k : 0));
  if (tall.data() == nullptr) return out_of_scratch();
  if (m > n) {
#pragma omp parallel for schedule(static)
    for (int64_t j = 0; j < k; ++j) {
      for (int64_t i = 0; i < longest; ++i) tall.data()[j * longest + i] = a[i * k + j];
    }
    a = tall.data();
  }
  const auto stride = static_cast<LapackInt>(longest);
  const auto order = static_cast<LapackInt>(k);
  if (Status status = factor_qr(a, stride, order); !status.ok()) return status;
  double scale = 0;
  for (int64_t j = 0; j < k; ++j) {
    if (a[j * longest + j] == 0) {
      *condition = std::numeric_limits<double>::infinity();
      return {};
    }
    for (int64_t i = 0; i <= j; ++i) scale = std::max(scale, std::abs(a[j * longest + i]));
  }
  // Both products in units of the largest element, so that squares neither overflow nor vanish.
  const double shrink = 1 / scale;
  const auto product = [&](const double* x, double* y, int64_t count) {
    const auto columns = static_cast<LapackInt>(count);
    std::copy_n(x, count * k, y);
    dtrmm_("L", "U", "N", "N", &order, &columns, &shrink, a, &stride, y, &order);
    dtrmm_("L", "U", "T", "N", &order, &columns, &shrink, a, &stride, y, &order);
  };
  const auto solve = [&](const double* x, double* y, int64_t count) {
    const auto columns = static_cast<LapackInt>(count);
    std::copy_n(x, count * k, y);
    dtrsm_("L", "U", "T", "N", &order, &columns, &scale, a, &stride, y, &order);
    dtrsm_("L", "U", "N", "N", &order, &columns, &scale, a, &stride, y, &order);
  };
  double largest = 0;
  double inverse = 0;
  if (Status status = largest_eigenvalue(k, product, &largest); !status.ok()) return status;
  if (Status status = largest_eigenvalue(k, solve, &inverse); !status.ok()) {
    // The solutions overflow: singular to double precision.
    if (status.code() != ErrorCode::numeric) return status;
    *condition = std::numeric_limits<double>::infinity();
    return {};
  }
  *condition = std::sqrt(largest) * std::sqrt(inverse);
  return {};
}

}  // namespace

Status CpuBackend::condition_number(const ConditionNumberArguments& a) {
  const int64_t m = a.a.shape.rows();
  const int64_t n = a.a.shape.columns();
  auto* condition = a.output.as<double>();
  *condition = 1;
  if (m == 0 || n == 0) return {};
  const Scratch<double> copy(static_cast<size_t>(m * n));
  if (Status status = copy_for_lapack(a.a, copy.data()); !status.ok()) return status;
  if (a.method == ConditionMethod::lanczos) return by_lanczos(copy.data(), m, n, condition);
  const int64_t k = std::min(m, n);
  const Scratch<double> values(static_cast<size_t>(k));
  if (values.data() == nullptr) return out_of_scratch();
  if (Status status = decompose_singular(copy.data(), m, n, nullptr, values.data(), nullptr);
      !status.ok()) {
    return status;
  }
  const double smallest = values.data()[k - 1];
  *condition = smallest > 0 ? values.data()[0] / smallest : std::numeric_limits<double>::infinity();
  return {};
}

}  // namespace espalier::cpu
