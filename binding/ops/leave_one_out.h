// Leave-one-out residuals and condition numbers of all columns from one factorisation.
#pragma once

#include "binding/ops/submit.h"

namespace espalier::ops {

/// Result of leave_one_out; condition only when it was asked for.
struct LeaveOneOutResult {
  Tensor residual;
  OptionalTensor condition;
};

/// For every column j of the symmetric positive semi-definite h f32/f64 [n, n], lower triangle
/// read, λ = damping · mean(diag h): residual[j] = 1/[(h + λI)⁻¹]_jj f64 [n].
LeaveOneOutResult leave_one_out(const Tensor& h, double damping, ConditionMethod condition);

}  // namespace espalier::ops
