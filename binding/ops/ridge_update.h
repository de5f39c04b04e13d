// Least-squares update of a consumer's weights, damped towards the current ones.
#pragma once

#include "binding/ops/submit.h"

namespace espalier::ops {

/// W' = W + (C - W G)(G + λI)⁻¹ with λ = damping · mean(diag G): the W' that minimises
/// ‖Y - X W'ᵀ‖² + λ‖W' - W‖². w f32/bf16/f16 [out, in]; g = Xᵀ X f64 [in, in], lower triangle read;
/// c = Yᵀ X f64 [out, in] -> f32 [out, in]. Empty when out or in is 0. Throws DTYPE, SHAPE, CONFIG
/// (damping). The read fails with NUMERIC when g + λI is not positive definite or NaN or infinity
/// appears, with OUT_OF_MEMORY without room for one [in, in] f64 copy. Source: methods, COMP
/// `lstsq`.
Tensor ridge_update(const Tensor& w, const Tensor& g, const Tensor& c, double damping);

}  // namespace espalier::ops
