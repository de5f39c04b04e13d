// Conversion between element types.
#pragma once

#include "binding/ops/submit.h"

namespace espalier::ops {

/// x in another dtype: to nearest even into floats, towards zero and saturated into integers, NaN
/// to 0 there. Every pair of dtypes is rounded once. Always a copy.
Tensor cast(const Tensor& x, DType dtype);

}  // namespace espalier::ops
