// (H + λI)⁻¹ B from one Cholesky factorisation. H: [n, n], B: [n] or [n, m] row-major. Fortran sees
// B as Bᵀ [m, n], so the system is solved from the right: Xᵀ = Bᵀ U⁻¹ U⁻ᵀ with H + λI = Uᵀ U.
#include <cmath>

#include "binding/cpu/blas_buffers.h"
#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/factor.h"
#include "binding/cpu/factor_space.h"
#include "binding/cpu/lapack.h"

namespace espalier::cpu {

Status CpuBackend::cholesky_solve(const CholeskySolveArguments& a) {
  const int64_t n = a.h.shape.columns();
  const int64_t elements = a.output.shape.elements();
  if (elements == 0) return {};
  if (Status status = prepare_blas(); !status.ok()) return status;
  if (!all_finite(a.b)) return not_finite("b");
  const FactorSpace factor(a.h, a.lent);
  if (factor.data() == nullptr) return out_of_scratch();
  const double lambda = damping_of(a.h, a.damping, a.relative);
  if (Status status = factor_damped(a.h, lambda, factor.data()); !status.ok()) return status;
  auto* x = a.output.as<double>();
  copy_to_f64(a.b, x);
  const auto order = static_cast<LapackInt>(n);
  const auto width = static_cast<LapackInt>(elements / n);
  const double one = 1;
  dtrsm_("R", "U", "N", "N", &width, &order, &one, factor.data(), &order, x, &width);
  dtrsm_("R", "U", "T", "N", &width, &order, &one, factor.data(), &order, x, &width);
  return all_finite(x, elements) ? Status() : not_finite("the solution");
}

}  // namespace espalier::cpu
