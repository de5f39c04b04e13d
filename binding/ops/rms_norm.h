// Root-mean-square normalisation, with an optional residual addition before it.
#pragma once

#include "binding/ops/submit.h"

namespace espalier::ops {

/// Result of rms_norm: the normalised tensor, and x + residual when a residual was given.
struct RmsNormResult {
  Tensor output;
  OptionalTensor sum;
};

/// y = s / sqrt(mean(s²) + epsilon) ∘ weight over the last dimension, with s = x + residual.
/// x f32 [..., D], weight f32/bf16/f16 [D], residual f32 like x.
/// NaN and infinity propagate within their row. Throws DTYPE, SHAPE, CONFIG (epsilon),
/// DEVICE_MISMATCH. Source: Zhang & Sennrich 2019.
RmsNormResult rms_norm(const Tensor& x, const Tensor& weight, double epsilon,
                       const OptionalTensor& residual);

}  // namespace espalier::ops
