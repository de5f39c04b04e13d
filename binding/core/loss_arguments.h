// Plain argument structs of the ops at both ends of a model in training: losses, pooling,
// embedding.
#pragma once

#include <cstdint>

#include "binding/core/op_arguments.h"
#include "binding/core/tensor.h"

namespace espalier {

/// loss = mean over the targets that are not ignore_index of logsumexp(z) - z[target], with
/// z = hidden weightᵀ + bias, 0 when none is left; the gradients of that mean are written on the
/// way, so that each logit is computed once. A target outside [0, V) is a SHAPE failure.
struct CrossEntropyMeanArguments {
  ConstView hidden;      ///< f32 [N, D]
  ConstView weight;      ///< weight dtype [V, D]
  ConstView bias;        ///< weight dtype [V], or not given
  ConstView targets;     ///< i32 or i64 [N]
  View loss;             ///< f32 []
  View hidden_gradient;  ///< f32 [N, D]; null data: not wanted
  View weight_gradient;  ///< f32 [V, D]; null data: not wanted
  View bias_gradient;    ///< f32 [V]; null data: not wanted
  int64_t chunk = 0;     ///< rows of logits held at once; 0: the backend chooses
  int64_t ignore_index = -100;
  Products products = Products::f32;  ///< of the logits and hidden_gradient
};

/// The same mean for logits that are given.
struct SoftmaxCrossEntropyArguments {
  ConstView logits;  ///< f32 [N, C]
  ConstView labels;  ///< i32 or i64 [N]
  View loss;         ///< f32 []
  View gradient;     ///< f32 [N, C]; null data: not wanted
  int64_t ignore_index = -100;
};

/// output[v] = Σ gradient[i] over the i with ids[i] = v, v not padding_index; zeros elsewhere.
/// Sums run in the order of i.
struct EmbeddingBackwardArguments {
  ConstView gradient;          ///< f32 [..., D]
  ConstView ids;               ///< i32 or i64 [...]
  View output;                 ///< f32 [V, D]
  int64_t padding_index = -1;  ///< a row without gradient; -1: none
};

/// output[b] = mean of x[b, t] over the t with mask[b, t] != 0; zeros when there is none.
struct MeanPoolArguments {
  ConstView x;     ///< f32 [B, T, D]
  ConstView mask;  ///< u8 [B, T]
  View output;     ///< f32 [B, D]
};

/// output[b, t] = gradient[b] / (number of t with mask[b, t] != 0) at those t, zeros elsewhere.
struct MeanPoolBackwardArguments {
  ConstView gradient;  ///< f32 [B, D]
  ConstView mask;      ///< u8 [B, T]
  View output;         ///< f32 [B, T, D]
};

/// output[b] = x[b, index[b]]; an index outside [0, T) is a SHAPE failure.
struct SelectTokenArguments {
  ConstView x;      ///< f32 [B, T, D]
  ConstView index;  ///< i32 or i64 [B]
  View output;      ///< f32 [B, D]
};

/// output[b, index[b]] = gradient[b]; zeros elsewhere.
struct SelectTokenBackwardArguments {
  ConstView gradient;  ///< f32 [B, D]
  ConstView index;     ///< i32 or i64 [B]
  View output;         ///< f32 [B, T, D]
};

}  // namespace espalier
