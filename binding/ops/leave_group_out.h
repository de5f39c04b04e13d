// What a consumer loses when a group of its inputs is removed and it is solved anew.
#pragma once

#include "binding/ops/submit.h"

namespace espalier::ops {

/// tr(W_g ([(G + λI)⁻¹]_gg)⁻¹ W_gᵀ) for every group g of group_size consecutive columns, λ =
/// damping · mean(diag G); group_size 1: ‖W_:j‖² / [(G + λI)⁻¹]_jj. g = Xᵀ X f64 [n, n], lower
/// triangle read; w f32/bf16/f16 [out, n] -> f64 [n / group_size]. Throws DTYPE, SHAPE, CONFIG
/// (damping, or a group_size < 1 or that does not divide n). The read fails with NUMERIC when g +
/// λI is not positive definite or NaN or infinity appears, with OUT_OF_MEMORY without room for one
/// [n, n] f64 copy. Source: methods, COMP `reconstruction`.
Tensor leave_group_out(const Tensor& g, const Tensor& w, int64_t group_size, double damping);

}  // namespace espalier::ops
