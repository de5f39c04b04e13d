// S = h + λI. Wide: S = L Lᵀ in f64 by cuSOLVER (potrf), rows solved by potrs.
//
// Narrow: consumer cards do 1 f64 operation where they do 32 or 64 in f32, so there S' = D S D is
// factored in f32, D a diagonal of powers of two that brings the diagonal of S' near 1, and
// solutions of S' x = D b are refined (Wilkinson 1963): with r = D b - S' x in f64, the f32 factor
// solves S' y = r and x += y, until in every row max|r| <= ε √n ‖S'‖ max|x|, which is LAPACK's rule
// (dsposv). An error shrinks by about cond(S') 10⁻⁷ a step. A residual costs as much f64 work as
// solving would, so refinement pays while right-hand sides are few beside n.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "cuda/column_block.h"
#include "cuda/cusolver.h"
#include "cuda/damped_solver.h"
#include "cuda/factor.h"
#include "cuda/product_f64.h"

namespace espalier::cuda {
namespace {

// Columns for each right-hand side from which on some four residuals cost less than a f64 factor.
constexpr int64_t kColumnsARow = 32;
constexpr int kMostSteps = 10;
// An error that shrinks by less than this a step has met its limit, or the matrix is too near to
// singular for f32.
constexpr double kLeastGain = 4;

// Cards with half or a whole f64 unit for every f32 one: A100, H100, B200.
bool has_much_f64(int capability) {
  return capability == 80 || capability == 90 || capability == 100;
}

// S' by the lower triangle of h.
template <class T>
struct ScaledMatrix {
  const T* h;
  int64_t n;
  double lambda;
  const double* scale;

  __device__ double at(int64_t i, int64_t j) const {
    const T stored = j <= i ? h[i * n + j] : h[j * n + i];
    const double value = static_cast<double>(stored) + (i == j ? lambda : 0);
    return value * scale[i] * scale[j];
  }
  __device__ bool along_rows(int64_t i, int64_t j) const { return j <= i; }
};

// scale[i] = a power of two near 1/√S_ii.
template <class T>
__global__ void find_scale(const T* h, int64_t n, double lambda, double* scale) {
  for (int64_t i = global_thread(); i < n; i += global_threads()) {
    const double size = static_cast<double>(h[i * n + i]) + lambda;
    int exponent = 0;
    if (size > 0 && size - size == 0) frexp(size, &exponent);
    scale[i] = ldexp(1.0, -exponent / 2);
  }
}

// target = S' in f32, lower triangle; *found = 1 where h is not finite.
template <class T>
__global__ void narrow_lower(ScaledMatrix<T> s, float* target, int* found) {
  for (int64_t i = blockIdx.y; i < s.n; i += gridDim.y) {
    for (int64_t j = global_thread(); j <= i; j += global_threads()) {
      const T stored = s.h[i * s.n + j];
      if (!(stored - stored == 0)) *found = 1;
      target[i * s.n + j] = static_cast<float>(s.at(i, j));
    }
  }
}

// sums[j] = Σ_i |S'_ij|.
template <class T>
__global__ void sum_sizes(ScaledMatrix<T> s, double* sums) {
  __shared__ double scratch[kDown][kAcross];
  const int64_t column = block_column();
  const int64_t mine = column < s.n ? column : s.n - 1;
  double sum = 0;
  for (int64_t i = threadIdx.y; i < s.n; i += kDown) sum += fabs(s.at(i, mine));
  sum = column_sum(sum, scratch);
  if (threadIdx.y == 0 && column < s.n) sums[column] = sum;
}

// x[r, i] *= scale[i], or /= where `back`.
__global__ void scale_columns(double* x, int64_t count, int64_t n, const double* scale, bool back) {
  for (int64_t e = global_thread(); e < count; e += global_threads()) {
    x[e] = back ? x[e] / scale[e % n] : x[e] * scale[e % n];
  }
}

// Row r: norms[r] = max|residual|, or 1 where that is 0, and ratios[r] = how many times it is over
// the limit. A block a row.
__global__ void measure_rows(const double* residual, const double* solution, int64_t n,
                             double limit, double* norms, double* ratios) {
  __shared__ double sizes[2][32];
  double left = 0;
  double size = 0;
  bool finite = true;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
    const double r = residual[blockIdx.x * n + i];
    finite = finite && r - r == 0;
    left = fmax(left, fabs(r));
    size = fmax(size, fabs(solution[blockIdx.x * n + i]));
  }
  if (!finite) left = std::numeric_limits<double>::infinity();
  left = warp_max(left);
  size = warp_max(size);
  if (threadIdx.x % 32 == 0) {
    sizes[0][threadIdx.x / 32] = left;
    sizes[1][threadIdx.x / 32] = size;
  }
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (unsigned w = 0; w < blockDim.x / 32; ++w) {
    left = fmax(left, sizes[0][w]);
    size = fmax(size, sizes[1][w]);
  }
  norms[blockIdx.x] = left > 0 ? left : 1;
  ratios[blockIdx.x] = left > 0 ? left / (limit * size) : 0;
}

__global__ void narrow_rows(const double* residual, int64_t count, int64_t n, const double* norms,
                            float* narrow) {
  for (int64_t e = global_thread(); e < count; e += global_threads()) {
    narrow[e] = static_cast<float>(residual[e] / norms[e / n]);
  }
}

__global__ void add_rows(const float* narrow, int64_t count, int64_t n, const double* norms,
                         double* solution) {
  for (int64_t e = global_thread(); e < count; e += global_threads()) {
    solution[e] += static_cast<double>(narrow[e]) * norms[e / n];
  }
}

// residual = sides - the product.
struct StoreResidual {
  const double* sides;
  double* residual;
  int64_t n;

  __device__ void operator()(int64_t row, int64_t i, double product) const {
    residual[row * n + i] = sides[row * n + i] - product;
  }
};

Grid grid_of(int64_t count) { return {.blocks = blocks_for(count, 256), .threads = 256}; }

// body(S').
template <class Body>
Status with_scaled(const ConstView& h, double lambda, const double* scale, Body&& body) {
  const int64_t n = h.shape.columns();
  if (h.dtype == DType::f64) return body(ScaledMatrix<double>{h.as<double>(), n, lambda, scale});
  return body(ScaledMatrix<float>{h.as<float>(), n, lambda, scale});
}

}  // namespace

DampedSolver::DampedSolver(CudaBackend& backend, const ConstView& h, double lambda, bool lent)
    : backend_(backend),
      h_(h),
      n_(h.shape.columns()),
      lambda_(lambda),
      lent_(lent),
      wide_(backend) {}

Status DampedSolver::factor(int64_t rows) {
  if (has_much_f64(backend_.compute_capability()) || rows * kColumnsARow > n_) return factor_wide();
  narrow_ = std::make_unique<Scratch<float>>(backend_, static_cast<size_t>(n_ * n_));
  scale_ = std::make_unique<Scratch<double>>(backend_, static_cast<size_t>(n_));
  if (narrow_->data() != nullptr && scale_->data() != nullptr) return factor_narrow();
  narrow_ = nullptr;
  return factor_wide();
}

Status DampedSolver::factor_wide() {
  if (Status status = wide_.take(h_, lent_); !status.ok()) return status;
  return factor_damped(backend_, h_, lambda_, wide_.data());
}

Status DampedSolver::factor_narrow() {
  if (!std::isfinite(lambda_)) return not_finite("the matrix");
  const Scratch<double> sums(backend_, static_cast<size_t>(n_));
  if (sums.data() == nullptr) return out_of_scratch();
  Status status = with_scaled(h_, lambda_, scale_->data(), [&]<class T>(ScaledMatrix<T> s) {
    Status queued =
        launch(find_scale<T>, grid_of(n_), backend_.stream(), s.h, n_, lambda_, scale_->data());
    if (!queued.ok()) return queued;
    const Grid grid{
        .blocks = {blocks_for(n_, 256).x, static_cast<unsigned>(std::min<int64_t>(n_, 256))},
        .threads = 256};
    if (queued = check_flag(
            backend_,
            [&](int* flag) {
              return launch(narrow_lower<T>, grid, backend_.stream(), s, narrow_->data(), flag);
            },
            [](int) { return not_finite("the matrix"); });
        !queued.ok()) {
      return queued;
    }
    return launch(sum_sizes<T>, column_grid(n_), backend_.stream(), s, sums.data());
  });
  if (!status.ok()) return status;
  std::vector<double> sizes(static_cast<size_t>(n_));
  if (status = backend_.copy_to_host(sizes.data(), {sums.data(), DType::f64, {n_}}); !status.ok()) {
    return status;
  }
  norm_ = *std::ranges::max_element(sizes);
  bool definite = true;
  Status made = check_info(
      backend_,
      [&](int* info) { return backend_.cusolver().cholesky(backend_, narrow_->data(), n_, info); },
      [&](int) {
        definite = false;
        return Status();
      });
  if (!made.ok() || definite) return made;
  // Whether it is not definite or only near to that is for f64 to say.
  narrow_ = nullptr;
  return factor_wide();
}

// solution += (f32 factor)⁻¹ residual, residual = sides - S' solution.
Status DampedSolver::correct(double* solution, double* residual, const double* rows, double* norms,
                             int64_t count) {
  const Scratch<float> narrow(backend_, static_cast<size_t>(count * n_));
  const Scratch<int> info(backend_, 1);
  if (narrow.data() == nullptr || info.data() == nullptr) return out_of_scratch();
  const int64_t elements = count * n_;
  Status status = launch(narrow_rows, grid_of(elements), backend_.stream(), residual, elements, n_,
                         norms, narrow.data());
  if (!status.ok()) return status;
  if (status = backend_.cusolver().cholesky_solve<float>(backend_, narrow_->data(), n_, n_,
                                                         narrow.data(), count, info.data());
      !status.ok()) {
    return status;
  }
  if (status = launch(add_rows, grid_of(elements), backend_.stream(), narrow.data(), elements, n_,
                      norms, solution);
      !status.ok()) {
    return status;
  }
  return with_scaled(h_, lambda_, scale_->data(), [&](const auto& s) {
    return multiply_f64(backend_, StridedMatrix{solution, n_, 1}, s, count, n_, n_,
                        StoreResidual{rows, residual, n_});
  });
}

Status DampedSolver::refine(double* rows, int64_t count, bool& converged) {
  const int64_t elements = count * n_;
  const Scratch<double> solution(backend_, static_cast<size_t>(elements));
  const Scratch<double> residual(backend_, static_cast<size_t>(elements));
  const Scratch<double> numbers(backend_, static_cast<size_t>(2 * count));
  if (solution.data() == nullptr || residual.data() == nullptr || numbers.data() == nullptr) {
    return out_of_scratch();
  }
  double* const norms = numbers.data();
  double* const ratios = norms + count;
  std::vector<double> over(static_cast<size_t>(count));
  const double limit =
      std::numeric_limits<double>::epsilon() * std::sqrt(static_cast<double>(n_)) * norm_;
  const auto measure = [&](double& worst) {
    Status status =
        launch(measure_rows, {.blocks = {static_cast<unsigned>(count)}, .threads = 128},
               backend_.stream(), residual.data(), solution.data(), n_, limit, norms, ratios);
    if (!status.ok()) return status;
    if (status = backend_.copy_to_host(over.data(), {ratios, DType::f64, {count}}); !status.ok()) {
      return status;
    }
    worst = *std::ranges::max_element(over);
    return Status();
  };
  Status status = launch(scale_columns, grid_of(elements), backend_.stream(), rows, elements, n_,
                         scale_->data(), false);
  if (!status.ok()) return status;
  const View x{solution.data(), DType::f64, {count, n_}};
  const View r{residual.data(), DType::f64, {count, n_}};
  if (status = backend_.clear(x); !status.ok()) return status;
  if (status = backend_.copy(r, {rows, DType::f64, {count, n_}}); !status.ok()) return status;
  double worst = 0;
  if (status = measure(worst); !status.ok()) return status;
  double before = std::numeric_limits<double>::infinity();
  converged = worst <= 1;
  for (int step = 0; step < kMostSteps && !converged && worst <= before / kLeastGain; ++step) {
    before = worst;
    if (status = correct(solution.data(), residual.data(), rows, norms, count); !status.ok()) {
      return status;
    }
    if (status = measure(worst); !status.ok()) return status;
    converged = worst <= 1;
  }
  if (converged) {
    const ConstView found{x.data, DType::f64, {count, n_}};
    if (status = backend_.copy({rows, DType::f64, {count, n_}}, found); !status.ok()) return status;
  }
  // Without an answer the right-hand sides are put back as they were.
  return launch(scale_columns, grid_of(elements), backend_.stream(), rows, elements, n_,
                scale_->data(), !converged);
}

Status DampedSolver::solve(double* rows, int64_t count) {
  if (narrow_ != nullptr) {
    bool converged = false;
    Status status = refine(rows, count, converged);
    if (!status.ok() || converged) return status;
    narrow_ = nullptr;
    if (status = factor_wide(); !status.ok()) return status;
  }
  return solve_rows(backend_, wide_.data(), n_, rows, count);
}

}  // namespace espalier::cuda
