// Merging features of many sources into one batch, and sending its gradient back.
#pragma once

#include <vector>

#include "binding/ops/submit.h"

namespace espalier::ops {

/// output[k] = scales[i] · row permutation[k] of the sources put one after another: sources
/// f32/bf16/f16 [n_i, ...] with equal trailing dimensions (dtypes may differ), permutation i32 [Σ
/// n_i]
/// -> `dtype` [Σ n_i, ...], scaled in f32 and rounded once. `scales` is empty (all 1) or one per
/// source. Throws DTYPE, SHAPE, CONFIG, DEVICE_MISMATCH; a permutation that repeats or leaves the
/// rows fails the read with SHAPE.
Tensor merge_features(const std::vector<Tensor>& sources, const std::vector<double>& scales,
                      const OptionalTensor& permutation, DType dtype);

/// The reverse: target i takes the rows of gradient f32/bf16/f16 [Σ sizes, ...] that came from
/// source i, times factors[i], as `dtype` [sizes[i], ...]. Throws as merge_features.
std::vector<Tensor> dispatch_gradient(const Tensor& gradient, const std::vector<int64_t>& sizes,
                                      const std::vector<double>& factors,
                                      const OptionalTensor& permutation, DType dtype);

}  // namespace espalier::ops
