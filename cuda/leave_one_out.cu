// Leave-one-out residuals and condition numbers of all columns j of S = H + λI, H [n, n] f32 or
// f64, symmetric positive semi-definite, from one factorisation in f64.
//
// residual_j = 1/[S⁻¹]_jj: what is left of column j after regression on the others.
// condition_j = μ_max/μ_min, the extreme eigenvalues of S without row and column j: with S = V
// diag(λ) Vᵀ they are the extreme roots of Σ_i v_ji²/(λ_i - μ) = 0.
//
// none: S = L Lᵀ by cuSOLVER (potrf, trtri), [S⁻¹]_jj = ‖L⁻¹_:j‖²; memory the factor (see
// factor_space.h).
// svd: one eigen-decomposition by cuSOLVER (syevd), roots by secular.cu; memory [n, n] and the
// library's workspace.
// lanczos: the largest eigenpairs of S and, from its inverse (potri), of S⁻¹, whose minors relate
// to those of S through interlacing (see minor_extremes.h); memory the factor and some 800 n. Where
// the library is missing, the CPU backend does it.
#include <algorithm>
#include <cmath>
#include <limits>

#include "cuda/column_block.h"
#include "cuda/cusolver.h"
#include "cuda/decompose.h"
#include "cuda/factor.h"
#include "cuda/factor_space.h"
#include "cuda/minor_extremes.h"
#include "cuda/on_host.h"
#include "cuda/scratch.h"
#include "cuda/secular.h"

namespace espalier::cuda {
namespace {

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

__global__ void invert_all(double* x, int64_t count) {
  for (int64_t i = global_thread(); i < count; i += global_threads()) x[i] = 1 / x[i];
}

// Residuals from eigenpairs (vectors as rows): eigenvalues up to `zero` count as zero, and a column
// with a part in their space is a combination of the others: residual 0.
__global__ void spectral_residuals(const double* values, const double* vectors, int64_t n,
                                   double zero, double* residual) {
  __shared__ double scratch[kDown][kAcross];
  const int64_t column = block_column();
  const int64_t mine = column < n ? column : n - 1;
  double inverse = 0;
  double null_part = 0;
  for (int64_t i = threadIdx.y; i < n; i += kDown) {
    const double v = vectors[i * n + mine];
    if (values[i] > zero) {
      inverse += v * v / values[i];
    } else {
      null_part += v * v;
    }
  }
  inverse = column_sum(inverse, scratch);
  null_part = column_sum(null_part, scratch);
  const bool dependent = null_part > static_cast<double>(n) * kEpsilon || inverse == 0;
  if (threadIdx.y == 0 && column < n) residual[column] = dependent ? 0 : 1 / inverse;
}

// Distances of the eigenvalues from the smallest one and from the largest, both ascending and in
// units of the largest.
__global__ void distances_from_ends(const double* values, int64_t n, double* low, double* high) {
  const double top = values[n - 1];
  for (int64_t i = global_thread(); i < n; i += global_threads()) {
    low[i] = (values[i] - values[0]) / top;
    high[i] = (top - values[n - 1 - i]) / top;
  }
}

__global__ void conditions_from_ends(const double* values, const double* low, const double* high,
                                     int64_t n, double zero, double* condition) {
  const double top = values[n - 1];
  for (int64_t j = global_thread(); j < n; j += global_threads()) {
    const double smallest = values[0] + low[j] * top;
    condition[j] = smallest > zero ? (1 - high[j]) * top / smallest : kInfinity;
  }
}

__global__ void fill(double* x, int64_t count, double value) {
  for (int64_t i = global_thread(); i < count; i += global_threads()) x[i] = value;
}

Grid grid_of(int64_t n) { return {.blocks = blocks_for(n, 256), .threads = 256}; }

Status residuals(CudaBackend& backend, const LeaveOneOutArguments& a, double lambda) {
  const int64_t n = a.h.shape.columns();
  FactorSpace factor(backend);
  if (Status status = factor.take(a.h, a.lent); !status.ok()) return status;
  Status status = factor_damped(backend, a.h, lambda, factor.data());
  if (!status.ok()) return status;
  if (status = invert_factor(backend, factor.data(), n); !status.ok()) return status;
  auto* const residual = a.residual.as<double>();
  if (status = inverse_diagonal(backend, factor.data(), n, residual); !status.ok()) return status;
  if (status = launch(invert_all, grid_of(n), backend.stream(), residual, n); !status.ok()) {
    return status;
  }
  return expect_finite(backend, {residual, DType::f64, {n}}, "a residual");
}

Status exact(CudaBackend& backend, const LeaveOneOutArguments& a, double lambda) {
  const int64_t n = a.h.shape.columns();
  const auto size = static_cast<size_t>(n);
  const Scratch<double> vectors(backend, size * size);
  const Scratch<double> numbers(backend, 5 * size);
  if (vectors.data() == nullptr || numbers.data() == nullptr) return out_of_scratch();
  double* const values = numbers.data();
  double* const low = values + n;
  double* const high = values + 2 * n;
  double* const low_roots = values + 3 * n;
  double* const high_roots = values + 4 * n;
  Status status = copy_damped(backend, a.h, lambda, vectors.data());
  if (!status.ok()) return status;
  if (status = decompose_symmetric(backend, vectors.data(), n, values); !status.ok()) return status;
  double bottom = 0;
  double top = 0;
  if (status = read_number(backend, values, bottom); !status.ok()) return status;
  if (status = read_number(backend, values + n - 1, top); !status.ok()) return status;
  const double zero = static_cast<double>(n) * kEpsilon * std::max(top, 0.0);
  if (bottom < -zero) return not_semi_definite(bottom);

  auto* const condition = a.condition.as<double>();
  if (status = launch(spectral_residuals, column_grid(n), backend.stream(), values, vectors.data(),
                      n, zero, a.residual.as<double>());
      !status.ok()) {
    return status;
  }
  if (n == 1 || top <= 0) {
    return launch(fill, grid_of(n), backend.stream(), condition, n, n == 1 ? 1.0 : kInfinity);
  }
  if (status = launch(distances_from_ends, grid_of(n), backend.stream(), values, n, low, high);
      !status.ok()) {
    return status;
  }
  SecularProblem problem{.distances = low, .vectors = vectors.data(), .stride = n, .k = n, .n = n};
  if (status = solve_secular(backend, problem, low_roots); !status.ok()) return status;
  // The other end is the same equation with the spectrum reversed.
  problem.distances = high;
  problem.vectors = vectors.data() + (n - 1) * n;
  problem.stride = -n;
  if (status = solve_secular(backend, problem, high_roots); !status.ok()) return status;
  return launch(conditions_from_ends, grid_of(n), backend.stream(), values, low_roots, high_roots,
                n, zero, condition);
}

__global__ void combine(const double* inverse, int64_t n, const double* smallest, double* condition,
                        double* residual) {
  for (int64_t j = global_thread(); j < n; j += global_threads()) {
    condition[j] *= smallest[j];
    residual[j] = 1 / inverse[j * n + j];
  }
}

// With S⁻¹ = K and λ_i = 1/θ_i the secular equation Σ v_ji²/(λ_i - μ) = 0 is Σ v_ji² θ_i/(ν - θ_i)
// = 0, μ = 1/ν: the smallest eigenvalue of a minor of S from the largest eigenpairs of K.
Status by_lanczos(CudaBackend& backend, const LeaveOneOutArguments& a, double lambda) {
  const int64_t n = a.h.shape.columns();
  auto* const residual = a.residual.as<double>();
  auto* const condition = a.condition.as<double>();
  FactorSpace matrix(backend);
  const Scratch<double> smallest(backend, static_cast<size_t>(n));
  if (smallest.data() == nullptr) return out_of_scratch();
  if (Status status = matrix.take(a.h, a.lent); !status.ok()) return status;
  // One column alone has condition 1.
  for (double* ones : {condition, smallest.data()}) {
    if (Status status = launch(fill, grid_of(n), backend.stream(), ones, n, 1.0); !status.ok()) {
      return status;
    }
  }
  double* const s = matrix.data();
  if (Status status = copy_damped(backend, a.h, lambda, s); !status.ok()) return status;
  if (n > 1) {
    Status status = minor_extremes(backend, s, n, MinorOf::matrix, condition);
    if (!status.ok()) return status;
  }
  if (Status status = factor_in_place(backend, s, n); !status.ok()) return status;
  if (Status status = invert_product(backend, s, n); !status.ok()) return status;
  if (n > 1) {
    Status status = minor_extremes(backend, s, n, MinorOf::inverse, smallest.data());
    if (!status.ok()) return status;
  }
  Status status =
      launch(combine, grid_of(n), backend.stream(), s, n, smallest.data(), condition, residual);
  if (!status.ok()) return status;
  for (const double* result : {residual, condition}) {
    if (status = expect_finite(backend, {result, DType::f64, {n}}, "a result"); !status.ok()) {
      return status;
    }
  }
  return {};
}

}  // namespace

Status CudaBackend::leave_one_out(const LeaveOneOutArguments& a) {
  if (!cusolver().found()) {
    return on_host(*this, a, &Backend::leave_one_out, {&LeaveOneOutArguments::h},
                   {&LeaveOneOutArguments::residual, &LeaveOneOutArguments::condition});
  }
  if (a.h.shape.columns() == 0) return {};
  double lambda = 0;
  Status status = damping_of(*this, a.h, a.damping, true, lambda);
  if (!status.ok()) return status;
  if (a.method == ConditionMethod::svd) return exact(*this, a, lambda);
  return a.method == ConditionMethod::none ? residuals(*this, a, lambda)
                                           : by_lanczos(*this, a, lambda);
}

}  // namespace espalier::cuda
