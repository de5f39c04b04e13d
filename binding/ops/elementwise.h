// Arithmetic between tensors of one shape.
#pragma once

#include "binding/ops/submit.h"

namespace espalier::ops {

/// x + y, x - y or x y, element by element: both f32 or both f64, same shape. Throws DTYPE, SHAPE,
/// DEVICE_MISMATCH.
Tensor elementwise(ElementwiseKind kind, const Tensor& x, const Tensor& y);

/// target = target · x in place: both f32 or both f64, same shape. Throws DTYPE, SHAPE,
/// DEVICE_MISMATCH, CONFIG when they share memory.
void multiply_into(const Tensor& target, const Tensor& x);

}  // namespace espalier::ops
