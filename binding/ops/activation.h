// Elementwise activations and their gradients.
#pragma once

#include "binding/ops/submit.h"

namespace espalier::ops {

/// output = f(x), f as `kind` says (see ActivationArguments). x f32 of any shape. Throws DTYPE.
Tensor activation(const Tensor& x, ActivationKind kind);

/// output = gradient ∘ f'(x). gradient f32; `saved` f32 like it: x, or for tanh its output. Throws
/// DTYPE, SHAPE, DEVICE_MISMATCH.
Tensor activation_backward(const Tensor& gradient, const Tensor& saved, ActivationKind kind);

}  // namespace espalier::ops
