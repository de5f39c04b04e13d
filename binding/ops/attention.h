// Softmax attention without a T x T matrix.
#pragma once

#include <cstdint>

#include "binding/ops/submit.h"

namespace espalier::ops {

/// Which keys a query sees, and how.
struct AttentionOptions {
  double scale = 1;
  bool causal = true;
  int64_t window = 0;
  OptionalTensor key_mask = std::nullopt;
  Products products = Products::f32;
  /// Whether attention also returns what its gradient needs.
  bool want_log_sum_exp = false;
};

/// Result of attention; log_sum_exp f32 [B, T, H] is the binary logarithm of Σ_j e^score when
/// wanted.
struct AttentionResult {
  Tensor output;
  OptionalTensor log_sum_exp;
};

/// Result of attention_backward, f32, each like its input.
struct AttentionGradients {
  Tensor q, k, v;
};

/// output[b, i, h] = Σ_j softmax_j(scale q[b, i, h]·k[b, j, g]) v[b, j, g] over the keys j that
/// query i sees, with g = h / (H / Hkv).
/// q f32 [B, T, H, D]; k, v f32 [B, S, Hkv, D]; H a multiple of Hkv; result f32 [B, T, H, D].
/// causal: query i sees keys j <= i + S - T (the last query sees all). window > 0: only keys
/// j > i + S - T - window; 0: no limit. scale is any finite number (usually D^-½).
/// A query without visible keys, or whose visible scores are all -infinity, gives zeros. Values of
/// keys that a query does not see never reach it, not even NaN; a visible NaN, or a score of
/// +infinity, makes the row NaN. The softmax subtracts the running maximum and sums in f32.
/// key_mask u8 [B, S]: keys with 0 are seen by no query, as if they were not there.
/// Products in bf16 round q, k, v and probabilities where the device multiplies it faster: on GPUs
/// from sm_80 on. The CPU has them in f32.
/// Memory: one block of queries by keys per thread. Throws DTYPE, SHAPE, CONFIG, DEVICE_MISMATCH.
/// Source: Vaswani et al. 2017; grouped heads: Ainslie et al. 2023; online softmax: Milakov &
/// Gimelshein 2018.
AttentionResult attention(const Tensor& q, const Tensor& k, const Tensor& v,
                          const AttentionOptions& options);

/// Gradients of q, k and v from that of the output; `forward` and `options` are those of the call.
/// Probabilities are made again tile by tile: no T x T matrix. A query without visible keys and a
/// key that nobody sees get zeros. NaN and infinity of real keys, queries or gradients may reach
/// everything of their batch entry and key head; masked keys reach nothing. Errors like attention.
/// Source: Dao et al. 2022.
AttentionGradients attention_backward(const Tensor& gradient, const Tensor& q, const Tensor& k,
                                      const Tensor& v, const AttentionResult& forward,
                                      const AttentionOptions& options);

}  // namespace espalier::ops
