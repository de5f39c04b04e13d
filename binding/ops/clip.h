// The norm of all gradients together, and what is done with it.
#pragma once

#include <vector>

#include "binding/ops/submit.h"

namespace espalier::ops {

/// sqrt(Σ x²) over all elements of f32 tensors (at least one) as f64 []; NaN and infinity
/// propagate. Throws DTYPE, CONFIG (no tensor), DEVICE_MISMATCH.
Tensor global_norm(const std::vector<Tensor>& tensors);

/// Multiplies f32 tensors by min(1, max_norm / (norm + 1e-6)) in place, with norm f64 []; a norm
/// that is NaN makes them NaN. Throws DTYPE, SHAPE, CONFIG, DEVICE_MISMATCH.
void clip_gradients(const std::vector<Tensor>& tensors, const Tensor& norm, double max_norm);

/// Multiplies f32 tensors by one f32 or f64 element in place. Throws DTYPE, SHAPE, CONFIG,
/// DEVICE_MISMATCH.
void scale_in_place(const std::vector<Tensor>& tensors, const Tensor& factor);

/// target += x in place, both f32 or both f64 of the same shape. Throws DTYPE, SHAPE,
/// DEVICE_MISMATCH.
void accumulate(const Tensor& target, const Tensor& x);

}  // namespace espalier::ops
