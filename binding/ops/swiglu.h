// The gated activation of the LLaMA family's MLP.
#pragma once

#include "binding/ops/submit.h"

namespace espalier::ops {

/// silu(gate) ∘ up, with silu(g) = g / (1 + exp(-g)). Both f32 of the same shape.
/// NaN propagates; gate = -infinity gives NaN, like the formula. Throws DTYPE, SHAPE,
/// DEVICE_MISMATCH. Source: Shazeer 2020.
Tensor swiglu(const Tensor& gate, const Tensor& up);

}  // namespace espalier::ops
