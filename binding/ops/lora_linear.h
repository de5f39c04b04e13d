// Linear layers with low-rank adapters on one input.
#pragma once

#include <vector>

#include "binding/ops/submit.h"

namespace espalier::ops {

/// One layer: weight f32/bf16/f16 [N, K], bias f32/bf16/f16 [N], and unless `a` is empty a path
/// scale · (dropout(x) aᵀ) bᵀ with a f32 [r, K] and b f32 [N, r].
struct LoraLayer {
  Tensor weight;
  OptionalTensor bias;
  OptionalTensor a;
  OptionalTensor b;
  double scale = 1.0;
  double dropout = 0.0;
  uint64_t seed = 0;
};

/// What one layer gives: its output, and with a path its hidden, dropout(x) aᵀ.
struct LoraOutput {
  Tensor output;
  OptionalTensor hidden;
};

/// x weightᵀ + bias + path for every layer, with x f32 [..., K] read together -> f32 [..., N] and
/// hidden [rows, r]. Dropout masks depend on seed and position alone. NaN and infinity propagate,
/// but a dropped NaN is 0 on the path. Throws DTYPE, SHAPE, CONFIG (a without b, dropout, scale),
/// DEVICE_MISMATCH.
std::vector<LoraOutput> lora_linear(const Tensor& x, const std::vector<LoraLayer>& layers,
                                    Products products = Products::f32);

/// What one layer of lora_linear needs for its gradients, and which of them are wanted.
struct LoraLayerGradient {
  OptionalTensor gradient;  ///< of its output; empty: zero
  LoraLayer layer;
  OptionalTensor hidden;
  bool wants_a = true;
  bool wants_b = true;
};

/// The gradients of one layer's a and b; empty where not wanted.
struct LoraPathGradients {
  OptionalTensor a;
  OptionalTensor b;
};

/// The gradients of lora_linear; x is empty when not wanted.
struct LoraGradients {
  OptionalTensor x;
  std::vector<LoraPathGradients> paths;
};

/// Gradients of x (summed over the layers) and of every a and b; weights get none. `x`, of shape
/// `shape`, may be left out where no gradient of an a is wanted. Throws as lora_linear.
LoraGradients lora_linear_backward(const OptionalTensor& x, const Shape& shape,
                                   const std::vector<LoraLayerGradient>& layers, bool wants_x,
                                   Products products = Products::f32);

}  // namespace espalier::ops
