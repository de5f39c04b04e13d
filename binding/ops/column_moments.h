// Mean and variance of every feature, one chunk of rows at a time.
#pragma once

#include <cstdint>

#include "binding/ops/submit.h"

namespace espalier::ops {

/// f64 [2, D]: row 0 the mean of each column, row 1 its sum of squared deviations from that mean
/// (divide by the row count for the variance).
/// x f32 [..., D], leading dimensions flattened into rows. With `into`, an earlier result over
/// `count` rows, x is merged into it in place and `into` is returned. Without rows the result is 0.
/// Everything is summed in f64. NaN and infinity stay within their column. Throws DTYPE, SHAPE,
/// CONFIG (count without into, or negative), DEVICE_MISMATCH.
/// Source: Chan, Golub & LeVeque 1979 (pairwise merging).
Tensor column_moments(const Tensor& x, const OptionalTensor& into, int64_t count);

}  // namespace espalier::ops
