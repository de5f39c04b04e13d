// Leave-one-out residuals and condition numbers of all columns j of S = H + λI, H [n, n] symmetric
// positive semi-definite, from one factorisation.
//
// residual_j = 1/[S⁻¹]_jj: what is left of column j after regression on the others.
// condition_j = μ_max/μ_min, the extreme eigenvalues of S without row and column j: with S = V
// diag(λ) Vᵀ they are the extreme roots of Σ_i v_ji²/(λ_i - μ) = 0.
//
// none: S = L Lᵀ, [S⁻¹]_jj = ‖L⁻¹_:j‖²; memory the factor (see factor_space.h).
// svd: one eigen-decomposition; memory three [n, n] f64.
// lanczos: the largest eigenpairs of S and, from the factor, of S⁻¹, whose minors relate to those
// of S through interlacing (see minor_extremes.h); memory the factor and some 600 n.
#include <algorithm>
#include <limits>

#include "binding/cpu/blas_buffers.h"
#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/decompose.h"
#include "binding/cpu/factor.h"
#include "binding/cpu/factor_space.h"
#include "binding/cpu/minor_extremes.h"
#include "binding/cpu/scratch.h"
#include "binding/cpu/secular.h"

namespace espalier::cpu {
namespace {

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Residuals by Cholesky; `factor` [n, n] is left as L⁻¹.
Status residuals(const LeaveOneOutArguments& a, double lambda, double* factor) {
  const int64_t n = a.h.shape.columns();
  if (Status status = factor_damped(a.h, lambda, factor); !status.ok()) return status;
  if (Status status = invert_factor(factor, n); !status.ok()) return status;
  auto* residual = a.residual.as<double>();
  inverse_diagonal(factor, n, residual);
  for (int64_t j = 0; j < n; ++j) residual[j] = 1 / residual[j];
  return all_finite(residual, n) ? Status() : not_finite("a residual");
}

// Residuals from eigenpairs (vectors as rows): eigenvalues up to `zero` count as zero, and a column
// with a part in their space is a combination of the others: residual 0.
void spectral_residuals(const double* values, const double* vectors, int64_t n, double zero,
                        double* residual) {
  constexpr int64_t kBlock = 128;
#pragma omp parallel for schedule(static)
  for (int64_t start = 0; start < n; start += kBlock) {
    const int64_t count = std::min(kBlock, n - start);
    double inverse[kBlock] = {};
    double null_part[kBlock] = {};
    for (int64_t i = 0; i < n; ++i) {
      const double* v = vectors + i * n + start;
      double* sums = values[i] > zero ? inverse : null_part;
      const double factor = values[i] > zero ? 1 / values[i] : 1;
      for (int64_t j = 0; j < count; ++j) sums[j] += v[j] * v[j] * factor;
    }
    for (int64_t j = 0; j < count; ++j) {
      const bool dependent = null_part[j] > static_cast<double>(n) * kEpsilon;
      residual[start + j] = dependent || inverse[j] == 0 ? 0 : 1 / inverse[j];
    }
  }
}

Status exact(const LeaveOneOutArguments& a, double lambda) {
  const int64_t n = a.h.shape.columns();
  const auto size = static_cast<size_t>(n);
  const Scratch<double> vectors(size * size);
  const Scratch<double> numbers(4 * size);
  if (vectors.data() == nullptr || numbers.data() == nullptr) return out_of_scratch();
  double* values = numbers.data();
  double* distances = values + n;
  double* low = values + 2 * n;
  double* high = values + 3 * n;
  if (Status status = copy_damped(a.h, lambda, vectors.data()); !status.ok()) return status;
  if (Status status = decompose_symmetric(vectors.data(), n, values, true); !status.ok()) {
    return status;
  }
  const double top = values[n - 1];
  const double zero = static_cast<double>(n) * kEpsilon * std::max(top, 0.0);
  if (values[0] < -zero) return not_semi_definite(values[0]);
  auto* condition = a.condition.as<double>();
  spectral_residuals(values, vectors.data(), n, zero, a.residual.as<double>());
  if (n == 1 || top <= 0) {
    std::fill_n(condition, n, n == 1 ? 1.0 : kInfinity);
    return {};
  }
  SecularProblem problem{
      .distances = distances, .vectors = vectors.data(), .stride = n, .k = n, .n = n};
  for (int64_t i = 0; i < n; ++i) distances[i] = (values[i] - values[0]) / top;
  if (Status status = solve_secular(problem, low); !status.ok()) return status;
  // The other end is the same equation with the spectrum reversed.
  problem.vectors = vectors.data() + (n - 1) * n;
  problem.stride = -n;
  for (int64_t i = 0; i < n; ++i) distances[i] = (top - values[n - 1 - i]) / top;
  if (Status status = solve_secular(problem, high); !status.ok()) return status;
  for (int64_t j = 0; j < n; ++j) {
    const double smallest = values[0] + low[j] * top;
    condition[j] = smallest > zero ? (1 - high[j]) * top / smallest : kInfinity;
  }
  return {};
}

// With S⁻¹ = K and λ_i = 1/θ_i the secular equation Σ v_ji²/(λ_i - μ) = 0 is Σ v_ji² θ_i/(ν - θ_i)
// = 0, μ = 1/ν: the smallest eigenvalue of a minor of S from the largest eigenpairs of K.
Status by_lanczos(const LeaveOneOutArguments& a, double lambda, double* matrix) {
  const int64_t n = a.h.shape.columns();
  auto* residual = a.residual.as<double>();
  auto* condition = a.condition.as<double>();
  if (Status status = copy_damped(a.h, lambda, matrix); !status.ok()) return status;
  if (n > 1) {
    if (Status status = minor_extremes(matrix, n, MinorOf::matrix, condition); !status.ok()) {
      return status;
    }
  }
  if (Status status = factor_in_place(matrix, n); !status.ok()) return status;
  if (Status status = invert_factor(matrix, n); !status.ok()) return status;
  if (Status status = multiply_inverse(matrix, n); !status.ok()) return status;
  if (n == 1) {
    condition[0] = 1;
  } else {
    const Scratch<double> inverse(static_cast<size_t>(n));
    if (inverse.data() == nullptr) return out_of_scratch();
    if (Status status = minor_extremes(matrix, n, MinorOf::inverse, inverse.data()); !status.ok()) {
      return status;
    }
    for (int64_t j = 0; j < n; ++j) condition[j] *= inverse.data()[j];
  }
  for (int64_t j = 0; j < n; ++j) residual[j] = 1 / matrix[j * n + j];
  return all_finite(residual, n) && all_finite(condition, n) ? Status() : not_finite("a result");
}

}  // namespace

Status CpuBackend::leave_one_out(const LeaveOneOutArguments& a) {
  const int64_t n = a.h.shape.columns();
  if (n == 0) return {};
  if (Status status = prepare_blas(); !status.ok()) return status;
  const double lambda = damping_of(a.h, a.damping, true);
  if (a.method == ConditionMethod::svd) return exact(a, lambda);
  const FactorSpace factor(a.h, a.lent);
  if (factor.data() == nullptr) return out_of_scratch();
  return a.method == ConditionMethod::none ? residuals(a, lambda, factor.data())
                                           : by_lanczos(a, lambda, factor.data());
}

}  // namespace espalier::cpu
