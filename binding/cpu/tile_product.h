// The product with a densely masked weight.
#pragma once

#include "binding/core/op_arguments.h"
#include "binding/core/status.h"

namespace espalier::cpu {

/// output = x (weight ∘ mask)ᵀ + bias for a mask without index lists: empty tiles of the mask are
/// skipped, whole rows of full ones of f32 weights used in place, and the others copied with the
/// mask applied, a block of kPackRows by kPackColumns at a time. Fails with OUT_OF_MEMORY.
Status tile_product(const MaskedMatmulArguments& a);

}  // namespace espalier::cpu
