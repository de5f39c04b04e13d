// Matrix transpose.
#pragma once

#include "binding/ops/submit.h"

namespace espalier::ops {

/// y[c, r] = x[r, c]: any dtype, rank 2. Throws SHAPE.
Tensor transpose(const Tensor& x);

}  // namespace espalier::ops
