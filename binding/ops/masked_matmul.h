// Products that leave masked weights out.
#pragma once

#include "binding/ops/submit.h"

namespace espalier::ops {

/// Which weights take part.
struct Masks {
  OptionalTensor rows;     ///< i32 [R], strictly increasing kept rows; all when not given
  OptionalTensor columns;  ///< i32 [C], strictly increasing kept columns; all when not given
  OptionalTensor mask;     ///< u8 [N, K] of 0 and 1; all ones when not given
  bool compact = false;    ///< the output has the kept rows only
};

/// y = x (weight ∘ M)ᵀ + bias on the kept rows, exact zeros on the others: x f32 [..., K] or, with
/// only the kept columns, [..., C]; weight f32/bf16/f16 [N, K]; bias f32/bf16/f16 [N] -> f32
/// [..., N], or [..., R] when compact. Masked weights take no part, NaN or not. Throws DTYPE,
/// SHAPE, DEVICE_MISMATCH; index lists that leave the weight or do not increase fail the read with
/// SHAPE.
Tensor masked_matmul(const Tensor& x, const Tensor& weight, const OptionalTensor& bias,
                     const Masks& masks);

}  // namespace espalier::ops
