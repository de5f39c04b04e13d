// Thin singular value decomposition a = U diag(s) Vᵀ by cuSOLVER's QR iteration (gesvd) in f64. a:
// [m, n] f32 or f64; U: [m, k], s: [k] descending, Vᵀ: [k, n], k = min(m, n). A tall matrix is
// decomposed as its transpose, and its factors are turned. Memory: two copies of the matrix at
// most, and the library's workspace. Where the library is missing, the CPU backend does it.
#include "cuda/cusolver.h"
#include "cuda/decompose.h"
#include "cuda/on_host.h"
#include "cuda/scratch.h"

namespace espalier::cuda {

Status CudaBackend::svd(const SvdArguments& a) {
  if (!cusolver().found()) {
    return on_host(*this, a, &Backend::svd, {&SvdArguments::a},
                   {&SvdArguments::u, &SvdArguments::s, &SvdArguments::vt});
  }
  const int64_t m = a.a.shape.rows();
  const int64_t n = a.a.shape.columns();
  if (m == 0 || n == 0) return {};
  auto* const s = a.s.as<double>();
  if (a.u.data == nullptr) return decompose_singular(*this, a.a, s, {});
  if (m <= n) {
    return decompose_singular(*this, a.a, s,
                              {.shorter = a.u.as<double>(), .longer = a.vt.as<double>()});
  }
  const Scratch<double> longer(*this, static_cast<size_t>(n * m));
  const Scratch<double> shorter(*this, static_cast<size_t>(n * n));
  if (longer.data() == nullptr || shorter.data() == nullptr) return out_of_scratch();
  Status status =
      decompose_singular(*this, a.a, s, {.shorter = shorter.data(), .longer = longer.data()});
  if (!status.ok()) return status;
  if (status = transpose({.x = {longer.data(), DType::f64, {n, m}}, .output = a.u}); !status.ok()) {
    return status;
  }
  return transpose({.x = {shorter.data(), DType::f64, {n, n}}, .output = a.vt});
}

}  // namespace espalier::cuda
