// Rounding of weights and activations to bf16.
#pragma once

#include <cstdint>

#include "binding/core/dtype.h"

namespace espalier::cpu {

/// target[i] = the bits of source[i] rounded to bf16, to nearest even, for `count` f32, bf16 or f16
/// elements; NaN stays NaN. Split over the OpenMP team.
void round_to_bf16(const void* source, DType dtype, int64_t count, uint16_t* target);

}  // namespace espalier::cpu
