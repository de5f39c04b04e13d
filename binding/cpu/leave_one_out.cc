// residual_j = 1/[(H + λI)⁻¹]_jj: what is left of column j after regression on the others.
#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/factor.h"
#include "binding/cpu/scratch.h"

namespace espalier::cpu {

Status CpuBackend::leave_one_out(const LeaveOneOutArguments& a) {
  const int64_t n = a.h.shape.columns();
  if (n == 0) return {};
  if (a.method != ConditionMethod::none) {
    return {ErrorCode::unsupported, "only residuals are available"};
  }
  const Scratch<double> factor(static_cast<size_t>(n * n));
  if (factor.data() == nullptr) return out_of_scratch();
  const double lambda = damping_of(a.h, a.damping, true);
  if (Status status = factor_damped(a.h, lambda, factor.data()); !status.ok()) return status;
  if (Status status = invert_factor(factor.data(), n); !status.ok()) return status;
  auto* residual = a.residual.as<double>();
  inverse_diagonal(factor.data(), n, residual);
  for (int64_t j = 0; j < n; ++j) residual[j] = 1 / residual[j];
  return all_finite(residual, n) ? Status() : not_finite("a residual");
}

}  // namespace espalier::cpu
