// Cosine similarity of corresponding rows.
#pragma once

#include "binding/ops/submit.h"

namespace espalier::ops {

/// result[n] = x[n]·y[n] / (|x[n]| |y[n]|), and 0 when either row has no length.
/// x, y f32 [..., D] of the same shape, rank at least 1; result f32 [...]. Sums run in double
/// precision, so no finite row overflows. NaN and infinity give NaN for their row. Throws DTYPE,
/// SHAPE, DEVICE_MISMATCH.
Tensor cosine(const Tensor& x, const Tensor& y);

}  // namespace espalier::ops
