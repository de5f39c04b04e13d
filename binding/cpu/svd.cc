// Thin singular value decomposition a = U diag(s) Vᵀ by LAPACK's divide and conquer in f64. a: [m,
// n] f32 or f64; U: [m, k], s: [k] descending, Vᵀ: [k, n], k = min(m, n).
#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/decompose.h"
#include "binding/cpu/scratch.h"

namespace espalier::cpu {

Status CpuBackend::svd(const SvdArguments& a) {
  const int64_t m = a.a.shape.rows();
  const int64_t n = a.a.shape.columns();
  if (m == 0 || n == 0) return {};
  const Scratch<double> copy(static_cast<size_t>(m * n));
  if (Status status = copy_for_lapack(a.a, copy.data()); !status.ok()) return status;
  return decompose_singular(copy.data(), m, n, a.u.as<double>(), a.s.as<double>(),
                            a.vt.as<double>());
}

}  // namespace espalier::cpu
