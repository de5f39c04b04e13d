// Rotary position embedding.
#pragma once

#include <cstdint>

#include "binding/ops/submit.h"

namespace espalier::ops {

/// Rotates the halves of each head by its position: with h = D/2 and angle a = (offset + t) f_i,
/// (x_i, x_{i+h}) -> scale (x_i cos a - x_{i+h} sin a, x_{i+h} cos a + x_i sin a).
/// x f32 [B, T, H, D] with even D, inverse_frequencies f32 [D/2], offset >= 0 the position of t =
/// 0, scale a finite factor on cosine and sine. Angles are taken in double precision. NaN and
/// infinity stay within their pair. inverse rotates by -a instead, which is the gradient of the op.
/// Throws DTYPE, SHAPE, CONFIG, DEVICE_MISMATCH. Source: Su et al. 2021, in the half-rotation
/// layout of the LLaMA checkpoints.
Tensor rope(const Tensor& x, const Tensor& inverse_frequencies, int64_t offset, double scale,
            bool inverse = false);

}  // namespace espalier::ops
