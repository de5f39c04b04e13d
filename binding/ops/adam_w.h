// The optimiser that fine-tuning uses unless told otherwise.
#pragma once

#include <vector>

#include "binding/ops/submit.h"

namespace espalier::ops {

/// One entry per parameter, changed in place but for the gradients.
struct AdamWState {
  std::vector<Tensor> parameters;  ///< f32
  std::vector<Tensor> gradients;   ///< f32, shaped like the parameters
  std::vector<Tensor> m;           ///< f32, shaped like the parameters; zeros before the first step
  std::vector<Tensor> v;           ///< like m
  std::vector<Tensor> steps;       ///< f32 []; 0 before the first step
};

/// What may be left at its default.
struct AdamWOptions {
  double learning_rate = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.01;
  OptionalTensor norm;         ///< f64 []: nothing changes when it is not finite
  OptionalTensor status = {};  ///< of step_status(): takes a failure in place of the state
};

/// One step of AdamW with decoupled weight decay over all parameters. Throws DTYPE, SHAPE, CONFIG
/// (counts, factors out of range), DEVICE_MISMATCH. Source: Loshchilov and Hutter 2019.
void adam_w(const AdamWState& state, const AdamWOptions& options);

}  // namespace espalier::ops
