// Rows of a table by id.
#pragma once

#include "binding/ops/submit.h"

namespace espalier::ops {

/// y[i] = table[ids[i]]: ids i32/i64 [...], table f32/bf16/f16 [V, D] -> f32 [..., D]. Throws
/// DTYPE, SHAPE, DEVICE_MISMATCH; an id outside [0, V) fails the read with SHAPE.
Tensor embedding(const Tensor& ids, const Tensor& table);

/// The gradient of an embedding for its table: row v of the f32 [rows, D] result sums the gradient
/// rows whose id is v, in their order; row padding_index (-1: none) stays zero. gradient f32
/// [..., D], ids i32/i64 [...]. Throws DTYPE, SHAPE, CONFIG, DEVICE_MISMATCH; an id outside
/// [0, rows) fails the read with SHAPE.
Tensor embedding_backward(const Tensor& gradient, const Tensor& ids, int64_t rows,
                          int64_t padding_index);

}  // namespace espalier::ops
