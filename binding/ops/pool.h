// From the hidden states of a sequence to one vector, and the gradients back.
#pragma once

#include "binding/ops/submit.h"

namespace espalier::ops {

/// Mean over the tokens under a mask: x f32 [B, T, D], mask u8 [B, T] (0: left out) -> f32 [B, D];
/// zeros for a sequence without tokens. Throws DTYPE, SHAPE, DEVICE_MISMATCH.
Tensor mean_pool(const Tensor& x, const Tensor& mask);

/// The gradient of mean_pool for x from that of its output, f32 [B, D] -> f32 [B, T, D].
Tensor mean_pool_backward(const Tensor& gradient, const Tensor& mask);

/// x[b, index[b]] for every b: x f32 [B, T, D], index i32/i64 [B] -> f32 [B, D]. Throws DTYPE,
/// SHAPE, DEVICE_MISMATCH; an index outside [0, T) fails the read with SHAPE.
Tensor select_token(const Tensor& x, const Tensor& index);

/// The gradient of select_token for x from that of its output, f32 [B, D] -> f32 [B, tokens, D].
Tensor select_token_backward(const Tensor& gradient, const Tensor& index, int64_t tokens);

}  // namespace espalier::ops
