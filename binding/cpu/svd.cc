// Thin singular value decomposition a = U diag(s) Vᵀ by LAPACK's divide and conquer in f64. a: [m,
// n] f32 or f64; U: [m, k], s: [k] descending, Vᵀ: [k, n], k = min(m, n).
#include "binding/cpu/blas_buffers.h"
#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/decompose.h"
#include "binding/cpu/factor.h"
#include "binding/cpu/scratch.h"

namespace espalier::cpu {

Status CpuBackend::svd(const SvdArguments& a) {
  const int64_t m = a.a.shape.rows();
  const int64_t n = a.a.shape.columns();
  if (m == 0 || n == 0) return {};
  if (Status status = prepare_blas(); !status.ok()) return status;
  if (!all_finite(a.a)) return not_finite("a");
  const Scratch<double> copy(static_cast<size_t>(m * n));
  if (copy.data() == nullptr) return out_of_scratch();
  copy_to_f64(a.a, copy.data());
  return decompose_singular(copy.data(), m, n, a.u.as<double>(), a.s.as<double>(),
                            a.vt.as<double>());
}

}  // namespace espalier::cpu
