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

/// output = (x - mean(x)) / sqrt(var(x) + epsilon) ∘ weight + bias, over the last dimension.
struct LayerNormArguments {
  ConstView x;       ///< f32 [..., D]
  ConstView weight;  ///< weight dtype [D]
  ConstView bias;    ///< weight dtype [D], or not given
  View output;       ///< f32 like x
  float epsilon = 1e-5F;
};

/// Gradients of RMS normalisation, or of layer normalisation when centred.
struct NormBackwardArguments {
  ConstView gradient;    ///< f32 [..., D], of the normalised output
  ConstView x;           ///< f32 [..., D], what was normalised
  ConstView weight;      ///< weight dtype [D]
  ConstView upstream;    ///< f32 like x, added to x_gradient; or not given
  View x_gradient;       ///< f32 like x
  View weight_gradient;  ///< f32 [D]; null data: not wanted
  View bias_gradient;    ///< f32 [D]; null data: not wanted
  float epsilon = 1e-6F;
  bool centred = false;  ///< layer normalisation
};

}  // namespace espalier
