// Plain argument structs of the ops that update many tensors in one call.
#pragma once

#include <cstdint>
#include <vector>

#include "binding/core/tensor.h"

namespace espalier {

/// What AdamW keeps and changes for one parameter.
struct AdamWTensor {
  View parameter;      ///< f32
  ConstView gradient;  ///< f32 like parameter
  View m;              ///< f32 like parameter
  View v;              ///< f32 like parameter
  View step;           ///< f32 []; steps taken before this one, exact up to 2^24
};

/// Per tensor, with t = step + 1: p *= 1 - lr weight_decay; m += (1 - beta1)(g - m);
/// v = beta2 v + (1 - beta2) g²; p -= lr / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + epsilon);
/// step = t. Nothing changes when norm is given and not finite.
struct AdamWArguments {
  std::vector<AdamWTensor> tensors;
  ConstView norm;  ///< f64 [], or not given
  double learning_rate = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.01;
};

/// What SGD keeps and changes for one parameter.
struct SgdTensor {
  View parameter;      ///< f32
  ConstView gradient;  ///< f32 like parameter
  View velocity;       ///< f32 like parameter, zero before the first step; null data: no momentum
};

/// Per tensor: g += weight_decay p; u = momentum u + g; p -= lr (nesterov ? g + momentum u : u).
/// Nothing changes when norm is given and not finite.
struct SgdArguments {
  std::vector<SgdTensor> tensors;
  ConstView norm;  ///< f64 [], or not given
  double learning_rate = 1e-2;
  double momentum = 0.0;
  double weight_decay = 0.0;
  bool nesterov = false;
};

/// output = sqrt(Σ x²) over all elements of all tensors, accumulated in f64.
struct GlobalNormArguments {
  std::vector<ConstView> tensors;  ///< f32
  View output;                     ///< f64 []
};

/// Every tensor times one factor, in place: the scalar itself, or with clip
/// min(1, max_norm / (scalar + 1e-6)).
struct ScaleManyArguments {
  std::vector<View> tensors;  ///< f32
  ConstView scalar;           ///< f32 or f64, one element
  bool clip = false;
  double max_norm = 1.0;
};

}  // namespace espalier
