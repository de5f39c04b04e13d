// Argument structs of the LoRA linear layer and its gradients.
#pragma once

#include <cstdint>
#include <vector>

#include "binding/core/op_arguments.h"

namespace espalier {

/// One low-rank path: scale · (dropout(x) aᵀ) bᵀ. Not given: no path.
struct LoraPath {
  ConstView a;           ///< f32 [r, K], or not given
  ConstView b;           ///< f32 [N, r], or not given
  float scale = 1.0F;    ///< factor on the path
  double dropout = 0.0;  ///< probability in [0, 1) of dropping an element of x on this path
  uint64_t seed = 0;     ///< of the dropout mask, element i of x being element i of the mask
};

/// One layer that reads the common x.
struct LoraProjection {
  ConstView weight;  ///< weight dtype [N, K]
  ConstView bias;    ///< weight dtype [N], or not given
  LoraPath path;
  View output;  ///< f32 [..., N]
  View hidden;  ///< f32 [rows, r], dropout(x) aᵀ; null data without a path
};

/// output = x weightᵀ + bias + the low-rank path, for every projection.
struct LoraLinearArguments {
  ConstView x;  ///< f32 [..., K]
  std::vector<LoraProjection> projections;
  Products products = Products::f32;  ///< of x with the weights; low-rank paths are f32
};

/// What one projection's gradients are made of.
struct LoraProjectionGradient {
  ConstView gradient;  ///< f32 [..., N], or not given: zero
  ConstView weight;    ///< weight dtype [N, K]
  LoraPath path;
  ConstView hidden;  ///< f32 [rows, r]; not given without a path
  View a_gradient;   ///< f32 [r, K]; null data: not wanted
  View b_gradient;   ///< f32 [N, r]; null data: not wanted
};

/// Gradients of LoraLinearArguments: of x summed over the projections, and of each a and b.
struct LoraLinearBackwardArguments {
  ConstView x;      ///< f32 [..., K]; null data with the shape where no a_gradient is wanted
  View x_gradient;  ///< f32 like x; null data: not wanted
  std::vector<LoraProjectionGradient> projections;
  Products products = Products::f32;
};

}  // namespace espalier
