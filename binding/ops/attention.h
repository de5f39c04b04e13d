// Softmax attention without a T x T matrix.
#pragma once

#include <cstdint>

#include "binding/ops/submit.h"

namespace espalier::ops {

/// output[b, i, h] = Σ_j softmax_j(scale q[b, i, h]·k[b, j, g]) v[b, j, g] over the keys j that
/// query i sees, with g = h / (H / Hkv).
/// q f32 [B, T, H, D]; k, v f32 [B, S, Hkv, D]; H a multiple of Hkv; result f32 [B, T, H, D].
/// causal: query i sees keys j <= i + S - T (the last query sees all). window > 0: only keys
/// j > i + S - T - window; 0: no limit. scale is any finite number (usually D^-½).
/// A query without visible keys, or whose visible scores are all -infinity, gives zeros. Values of
/// keys that a query does not see never reach it, not even NaN; a visible NaN, or a score of
/// +infinity, makes the row NaN. The softmax subtracts the running maximum and sums in f32.
/// Memory: one block of queries by keys per thread. Throws DTYPE, SHAPE, CONFIG, DEVICE_MISMATCH.
/// Source: Vaswani et al. 2017; grouped heads: Ainslie et al. 2023; online softmax: Milakov &
/// Gimelshein 2018.
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, double scale, bool causal,
                 int64_t window);

}  // namespace espalier::ops
