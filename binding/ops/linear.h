// Dense layer.
#pragma once

#include "binding/ops/submit.h"

namespace espalier::ops {

/// y = x weightᵀ + bias: x f32 [..., K], weight f32/bf16/f16 [N, K], bias f32/bf16/f16 [N] -> f32
/// [..., N], accumulated in f32; weights in 16 bits give the bits that casting them first would.
/// NaN and infinity propagate. Throws DTYPE, SHAPE, DEVICE_MISMATCH.
Tensor linear(const Tensor& x, const Tensor& weight, const OptionalTensor& bias);

}  // namespace espalier::ops
