// Inverted dropout with a reproducible mask.
#pragma once

#include <cstdint>

#include "binding/ops/submit.h"

namespace espalier::ops {

/// y_i = x_i / (1 - probability) for kept elements, 0 for dropped ones (NaN too). x f32 of any
/// shape. Element i, counted through the whole tensor, is kept when word i mod 4 of
/// Philox4x32-10(counter i / 4, key seed) is below (1 - probability) 2^32; the gradient is the same
/// op applied to the gradient of y. Throws DTYPE, CONFIG (probability outside [0, 1)).
/// Source: Srivastava et al. 2014; Salmon et al. 2011.
Tensor dropout(const Tensor& x, double probability, uint64_t seed);

}  // namespace espalier::ops
