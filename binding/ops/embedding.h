// Rows of a table by id.
#pragma once

#include "binding/ops/submit.h"

namespace espalier::ops {

/// y[i] = table[ids[i]]: ids i32/i64 [...], table f32/bf16/f16 [V, D] -> f32 [..., D]. Throws
/// DTYPE, SHAPE, DEVICE_MISMATCH; an id outside [0, V) fails the read with SHAPE.
Tensor embedding(const Tensor& ids, const Tensor& table);

}  // namespace espalier::ops
