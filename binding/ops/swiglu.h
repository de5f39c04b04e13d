// The gated activation of the LLaMA family's MLP.
#pragma once

#include "binding/ops/submit.h"

namespace espalier::ops {

/// silu(gate) ∘ up, with silu(g) = g / (1 + exp(-g)). Both f32 of the same shape.
/// NaN propagates; gate = -infinity gives NaN, like the formula. Throws DTYPE, SHAPE,
/// DEVICE_MISMATCH. Source: Shazeer 2020.
Tensor swiglu(const Tensor& gate, const Tensor& up);

/// Result of swiglu_backward.
struct SwigluGradients {
  Tensor gate;
  Tensor up;
};

/// The gradients of swiglu's inputs, out of that of its output; all f32 of one shape. Throws DTYPE,
/// SHAPE, DEVICE_MISMATCH.
SwigluGradients swiglu_backward(const Tensor& gradient, const Tensor& gate, const Tensor& up);

}  // namespace espalier::ops
