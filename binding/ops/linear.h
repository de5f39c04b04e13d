// Dense layer.
#pragma once

#include "binding/ops/submit.h"

namespace espalier::ops {

/// y = x weightᵀ + bias: x f32 [..., K], weight f32/bf16/f16 [N, K], bias f32/bf16/f16 [N] -> f32
/// [..., N], accumulated in f32; weights in 16 bits give the bits that casting them first would.
/// Products in bf16 round x and weight to bf16 first, where the processor multiplies it faster.
/// NaN and infinity propagate. Throws DTYPE, SHAPE, DEVICE_MISMATCH.
Tensor linear(const Tensor& x, const Tensor& weight, const OptionalTensor& bias,
              Products products = Products::f32);

/// gradient weight, the gradient of linear's x: gradient f32 [..., N], weight f32/bf16/f16 [N, K]
/// -> f32 [..., K]. Throws DTYPE, SHAPE, DEVICE_MISMATCH.
Tensor linear_input_gradient(const Tensor& gradient, const Tensor& weight,
                             Products products = Products::f32);

/// gradientᵀ x, the gradient of linear's weight: gradient f32 [..., N], x f32 [..., K] -> f32 [N,
/// K]. Throws DTYPE, SHAPE, DEVICE_MISMATCH.
Tensor linear_weight_gradient(const Tensor& gradient, const Tensor& x,
                              Products products = Products::f32);

}  // namespace espalier::ops
