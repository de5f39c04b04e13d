// Plain argument structs of the ops that only training uses: gradient rules and what goes with
// them.
#pragma once

#include <cstdint>

#include "binding/core/tensor.h"

namespace espalier {

/// output[i] = x[i] / (1 - probability) where element i of the mask of `seed` is kept, 0 elsewhere.
/// Element i is kept when word i mod 4 of Philox4x32-10(counter i / 4, key seed) is below
/// (1 - probability) 2^32.
struct DropoutArguments {
  ConstView x;               ///< f32
  View output;               ///< f32 like x
  double probability = 0.0;  ///< in [0, 1)
  uint64_t seed = 0;
};

}  // namespace espalier
