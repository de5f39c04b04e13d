// Argument structs of merging features of many sources and of sending the gradient back.
#pragma once

#include <cstdint>
#include <vector>

#include "binding/core/tensor.h"

namespace espalier {

/// One part of a merged batch: rows of a source, or of its gradient.
template <class AnyView>
struct Segment {
  AnyView rows;         ///< weight dtype [n, ...], trailing dimensions alike
  float factor = 1.0F;  ///< multiplies every element, in f32
};

/// output[k] = factor · row permutation[k] of the concatenated segments, cast to output's dtype.
struct MergeFeaturesArguments {
  std::vector<Segment<ConstView>> sources;
  ConstView permutation;  ///< i32 [m], each of 0 … m-1 once, or not given: in order
  View output;            ///< weight dtype [m, ...]
};

/// The reverse: row permutation[k] of the concatenated segments = factor · gradient[k], cast to the
/// segment's dtype.
struct DispatchGradientArguments {
  ConstView gradient;     ///< weight dtype [m, ...]
  ConstView permutation;  ///< as above
  std::vector<Segment<View>> targets;
};

}  // namespace espalier
