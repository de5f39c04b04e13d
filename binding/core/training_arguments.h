// Plain argument structs of the ops that only training uses: gradient rules and what goes with
// them.
#pragma once

#include <cstdint>

#include "binding/core/op_arguments.h"
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

/// Which elementwise activation.
enum class ActivationKind : uint8_t { gelu, gelu_tanh, tanh, relu };

/// output = f(x): gelu x Φ(x); gelu_tanh x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2; tanh; relu
/// max(x, 0), NaN stays NaN.
struct ActivationArguments {
  ConstView x;  ///< f32
  View output;  ///< f32 like x
  ActivationKind kind = ActivationKind::gelu;
};

/// output = gradient ∘ f'(x), for tanh from its own output: 1 - y².
struct ActivationBackwardArguments {
  ConstView gradient;  ///< f32
  ConstView saved;     ///< f32 like gradient: x, or y for tanh
  View output;         ///< f32 like gradient
  ActivationKind kind = ActivationKind::gelu;
};

/// With σ = 1 / (1 + exp(-gate)): gate_gradient = gradient ∘ up ∘ σ (1 + gate (1 - σ)) and
/// up_gradient = gradient ∘ gate σ.
struct SwigluBackwardArguments {
  ConstView gradient;  ///< f32
  ConstView gate;      ///< f32 like gradient
  ConstView up;        ///< f32 like gradient
  View gate_gradient;  ///< f32 like gradient
  View up_gradient;    ///< f32 like gradient
};

/// Gradients of attention; probabilities are made again from q, k and log_sum_exp. With bf16
/// products, which have to be those of the forward pass, gradient and the gradients of the scores
/// may be rounded too.
struct AttentionBackwardArguments {
  ConstView gradient;     ///< f32 [B, T, H, D], of the output
  ConstView q;            ///< f32 [B, T, H, D]
  ConstView k;            ///< f32 [B, S, Hkv, D]
  ConstView v;            ///< f32 [B, S, Hkv, D]
  ConstView output;       ///< f32 [B, T, H, D], as attention gave it
  ConstView log_sum_exp;  ///< f32 [B, T, H], as attention gave it
  ConstView key_mask;     ///< u8 [B, S], or not given
  View q_gradient;        ///< f32 like q
  View k_gradient;        ///< f32 like k
  View v_gradient;        ///< f32 like v
  float scale = 1.0F;
  bool causal = true;
  int64_t window = 0;  ///< 0: unlimited
  Products products = Products::f32;
};

}  // namespace espalier
