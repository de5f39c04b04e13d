// Cross-entropy of a classifier without all of its logits in memory.
#pragma once

#include "binding/ops/submit.h"

namespace espalier::ops {

/// What may be left at its default.
struct CrossEntropyOptions {
  OptionalTensor bias;          ///< f32/bf16/f16 [V]
  int64_t chunk = 0;            ///< rows of logits held at once; 0: at most 64 MiB of them
  int64_t ignore_index = -100;  ///< target of positions that do not count
  Products products = Products::f32;
};

/// The checks that the losses of a classifier share. Throws DTYPE, SHAPE, CONFIG.
void check_cross_entropy(const char* op, const Tensor& hidden, const Tensor& w,
                         const Tensor& targets, const CrossEntropyOptions& options);

/// loss[n] = logsumexp(z) - z[targets[n]] with z = hidden[n] wᵀ + bias, 0 where the target is
/// ignore_index: hidden f32 [N, D], w f32/bf16/f16 [V, D], targets i32/i64 [N] -> f32 [N].
/// Throws DTYPE, SHAPE, CONFIG (chunk), DEVICE_MISMATCH; a target outside [0, V) fails the read
/// with SHAPE.
Tensor cross_entropy(const Tensor& hidden, const Tensor& w, const Tensor& targets,
                     const CrossEntropyOptions& options);

}  // namespace espalier::ops
