// min ‖a x - b‖ by cuSOLVER's singular value decomposition in f64; of least norm when a is rank
// deficient, where singular values under max(m, n) · ε · σ_max count as zero. a: [m, n], b: [m] or
// [m, k], x: [n] or [n, k]. x = V diag(1/s) Uᵀ b, from the right; the two products are ours.
// Memory: the decomposition's, U and V. Where the library is missing, the CPU backend does it.
#include <algorithm>
#include <limits>

#include "cuda/cusolver.h"
#include "cuda/decompose.h"
#include "cuda/device.h"
#include "cuda/factor.h"
#include "cuda/launch.h"
#include "cuda/on_host.h"
#include "cuda/product_f64.h"
#include "cuda/scratch.h"

namespace espalier::cuda {
namespace {

// rows[i, :] /= s[i], or 0 where s[i] counts as zero.
__global__ void divide_rows(double* rows, int64_t count, int64_t columns, const double* s,
                            double tolerance) {
  for (int64_t e = global_thread(); e < count * columns; e += global_threads()) {
    const double value = s[e / columns];
    rows[e] = value > tolerance * s[0] ? rows[e] / value : 0;
  }
}

}  // namespace

Status CudaBackend::least_squares(const LeastSquaresArguments& a) {
  if (!cusolver().found()) {
    return on_host(*this, a, &Backend::least_squares,
                   {&LeastSquaresArguments::a, &LeastSquaresArguments::b},
                   {&LeastSquaresArguments::output});
  }
  const int64_t m = a.a.shape.rows();
  const int64_t n = a.a.shape.columns();
  const int64_t elements = a.output.shape.elements();
  if (elements == 0) return {};
  if (m == 0) return clear(a.output);
  const int64_t k = elements / n;
  const int64_t rank = std::min(m, n);
  const int64_t longest = std::max(m, n);
  if (Status status = expect_finite(*this, a.b, "b"); !status.ok()) return status;
  const Scratch<double> shorter(*this, static_cast<size_t>(rank * rank));
  const Scratch<double> longer(*this, static_cast<size_t>(rank * longest));
  const Scratch<double> s(*this, static_cast<size_t>(rank));
  const Scratch<double> sides(*this, static_cast<size_t>(m * k));
  const Scratch<double> inner(*this, static_cast<size_t>(rank * k));
  for (const Scratch<double>* scratch : {&shorter, &longer, &s, &sides, &inner}) {
    if (scratch->data() == nullptr) return out_of_scratch();
  }
  Status status = decompose_singular(*this, a.a, s.data(),
                                     {.shorter = shorter.data(), .longer = longer.data()});
  if (!status.ok()) return status;
  if (status = copy_to_f64(*this, a.b, sides.data()); !status.ok()) return status;
  // a = shorter diag(s) longer, or a = longerᵀ diag(s) shorterᵀ.
  const StridedMatrix left =
      m <= n ? StridedMatrix{shorter.data(), 1, rank} : StridedMatrix{longer.data(), longest, 1};
  const StridedMatrix right =
      m <= n ? StridedMatrix{longer.data(), 1, longest} : StridedMatrix{shorter.data(), rank, 1};
  if (status = multiply_f64(*this, left, {sides.data(), k, 1}, rank, k, m, inner.data());
      !status.ok()) {
    return status;
  }
  if (status = launch(divide_rows, {.blocks = blocks_for(rank * k, 256), .threads = 256}, stream(),
                      inner.data(), rank, k, s.data(),
                      static_cast<double>(longest) * std::numeric_limits<double>::epsilon());
      !status.ok()) {
    return status;
  }
  auto* const x = a.output.as<double>();
  if (status = multiply_f64(*this, right, {inner.data(), k, 1}, n, k, rank, x); !status.ok()) {
    return status;
  }
  return expect_finite(*this, {x, DType::f64, a.output.shape}, "the solution");
}

}  // namespace espalier::cuda
