// σ_max/σ_min of a [m, n], f32 or f64, computed in f64.
//
// svd: all singular values by cuSOLVER (gesvd).
// lanczos: with A = Q R by cuSOLVER (geqrf; Q dropped; of the transpose when the matrix is wide),
// σ_max² is the largest eigenvalue of RᵀR and σ_min⁻² that of (RᵀR)⁻¹, each by block Lanczos with
// two triangular products or solves (potrs) a step. R has the singular values of A to rounding, so
// nothing is lost by squaring A; Ritz values lie below the eigenvalues, so the ratio is a lower
// bound. k = min(m, n), R: [k, k]. Row by row, R's memory is the lower triangle Rᵀ.
//
// Memory: a copy of the matrix, two where m > n. Where the library is missing, the CPU backend does
// it.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "cuda/block_lanczos.h"
#include "cuda/cusolver.h"
#include "cuda/decompose.h"
#include "cuda/device.h"
#include "cuda/factor.h"
#include "cuda/launch.h"
#include "cuda/on_host.h"
#include "cuda/scratch.h"
#include "cuda/triangle.h"

namespace espalier::cuda {
namespace {

constexpr int64_t kMostVectors = 256;
constexpr int64_t kMoreVectors = 32;
// The Ritz value's error is at most its residual; of the order of its square when separated.
constexpr double kConverged = 1e-8;

// Numbers of one sign are in the order of their bits, as which a maximum may be taken atomically:
// it is the same in any order.
using Bits = unsigned long long;

__device__ inline Bits bits_of(double value) {
  Bits bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

// sizes[0] = the largest |element| of the triangle, sizes[1] = the smallest on its diagonal.
__global__ void find_sizes(Triangle r, Bits* sizes) {
  double largest = 0;
  for (int64_t e = global_thread(); e < r.n * r.n; e += global_threads()) {
    const int64_t i = e / r.n;
    const int64_t j = e % r.n;
    if (j > i) continue;
    const double size = fabs(r.data[i * r.stride + j]);
    largest = fmax(largest, size);
    if (i == j) atomicMin(sizes + 1, bits_of(size));
  }
  atomicMax(sizes, bits_of(largest));
}

__global__ void scale_triangle(double* data, int64_t n, int64_t stride, double factor) {
  for (int64_t e = global_thread(); e < n * n; e += global_threads()) {
    if (e % n <= e / n) data[e / n * stride + e % n] *= factor;
  }
}

__global__ void divide_ends(const double* s, int64_t k, double* condition) {
  const double smallest = s[k - 1];
  *condition = smallest > 0 ? s[0] / smallest : std::numeric_limits<double>::infinity();
}

// The largest eigenvalue of an operator of order k.
Status largest_eigenvalue(CudaBackend& backend, int64_t k, const SymmetricOperator& apply,
                          double& value) {
  BlockLanczos lanczos(backend, k, kMostVectors);
  if (!lanczos.allocated()) return out_of_scratch();
  do {
    Status status = lanczos.extend(lanczos.size() + kMoreVectors, apply);
    if (!status.ok()) return status;
    value = lanczos.value(0);
  } while (lanczos.size() < lanczos.most() && lanczos.residual(0) > kConverged * value);
  return {};
}

// `wide` [k, longest] is lost.
Status by_lanczos(CudaBackend& backend, double* wide, int64_t k, int64_t longest,
                  double& condition) {
  const Scratch<double> half(backend, static_cast<size_t>(BlockLanczos::kBlock * k));
  const Scratch<Bits> sizes(backend, 2);
  const Scratch<int> info(backend, 1);
  if (half.data() == nullptr || sizes.data() == nullptr || info.data() == nullptr) {
    return out_of_scratch();
  }
  Status status = backend.cusolver().qr(backend, wide, k, longest, info.data());
  if (!status.ok()) return status;
  const Triangle lower{wide, k, longest, TriangleUse::lower};
  const Triangle upper{wide, k, longest, TriangleUse::transposed};
  for (const int part : {0, 1}) {
    const cudaError_t error =
        cudaMemsetAsync(sizes.data() + part, part == 0 ? 0 : 0xff, sizeof(Bits), backend.stream());
    if (error != cudaSuccess) return status_of(error, "clear");
  }
  if (status = launch(find_sizes, {.blocks = blocks_for(k * k, 256, 2048), .threads = 256},
                      backend.stream(), lower, sizes.data());
      !status.ok()) {
    return status;
  }
  double found[2];
  if (status = backend.copy_to_host(found, {sizes.data(), DType::f64, {2}}); !status.ok()) {
    return status;
  }
  condition = std::numeric_limits<double>::infinity();
  if (found[1] == 0) return {};
  // In units of about the largest element, so that squares neither overflow nor vanish. A power of
  // two rounds nothing.
  int exponent = 0;
  std::frexp(found[0], &exponent);
  if (status =
          launch(scale_triangle, {.blocks = blocks_for(k * k, 256), .threads = 256},
                 backend.stream(), wide, k, longest, std::ldexp(1.0, std::min(-exponent, 1023)));
      !status.ok()) {
    return status;
  }
  const auto product = [&](const double* x, double* y, int64_t count) {
    Status queued = multiply_triangle(backend, upper, x, half.data(), count);
    if (!queued.ok()) return queued;
    return multiply_triangle(backend, lower, half.data(), y, count);
  };
  const auto solve = [&](const double* x, double* y, int64_t count) {
    Status queued = backend.copy({y, DType::f64, {count * k}}, {x, DType::f64, {count * k}});
    if (!queued.ok()) return queued;
    return backend.cusolver().cholesky_solve<double>(backend, wide, k, longest, y, count,
                                                     info.data());
  };
  double largest = 0;
  double inverse = 0;
  if (status = largest_eigenvalue(backend, k, product, largest); !status.ok()) return status;
  if (status = largest_eigenvalue(backend, k, solve, inverse); !status.ok()) {
    // The solutions overflow: singular to double precision.
    return status.code() == ErrorCode::numeric ? Status() : status;
  }
  condition = std::sqrt(largest) * std::sqrt(inverse);
  return {};
}

}  // namespace

Status CudaBackend::condition_number(const ConditionNumberArguments& a) {
  if (!cusolver().found()) {
    return on_host(*this, a, &Backend::condition_number, {&ConditionNumberArguments::a},
                   {&ConditionNumberArguments::output});
  }
  const int64_t m = a.a.shape.rows();
  const int64_t n = a.a.shape.columns();
  const int64_t k = std::min(m, n);
  const int64_t longest = std::max(m, n);
  double condition = 1;
  if (k > 0 && a.method == ConditionMethod::svd) {
    const Scratch<double> s(*this, static_cast<size_t>(k));
    if (s.data() == nullptr) return out_of_scratch();
    Status status = decompose_singular(*this, a.a, s.data(), {});
    if (!status.ok()) return status;
    return launch(divide_ends, {.blocks = 1, .threads = 1}, stream(), s.data(), k,
                  a.output.as<double>());
  }
  if (k > 0) {
    const Scratch<double> wide(*this, static_cast<size_t>(k * longest));
    if (wide.data() == nullptr) return out_of_scratch();
    if (Status status = expect_finite(*this, a.a, "a"); !status.ok()) return status;
    if (Status status = copy_wide(*this, a.a, wide.data()); !status.ok()) return status;
    Status status = by_lanczos(*this, wide.data(), k, longest, condition);
    if (!status.ok()) return status;
  }
  return copy_from_host(a.output, &condition);
}

}  // namespace espalier::cuda
