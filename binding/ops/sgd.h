// Gradient descent with momentum.
#pragma once

#include <vector>

#include "binding/ops/submit.h"

namespace espalier::ops {

/// One entry per parameter, changed in place but for the gradients.
struct SgdState {
  std::vector<Tensor> parameters;  ///< f32
  std::vector<Tensor> gradients;   ///< f32, shaped like the parameters
  std::vector<Tensor> velocities;  ///< f32, shaped like the parameters, zeros at first; empty: none
};

/// What may be left at its default.
struct SgdOptions {
  double learning_rate = 1e-2;
  double momentum = 0.0;
  double weight_decay = 0.0;  ///< added to the gradient, not decoupled
  bool nesterov = false;
  OptionalTensor norm;         ///< f64 []: nothing changes when it is not finite
  OptionalTensor status = {};  ///< of step_status(): takes a failure in place of the state
};

/// One step of stochastic gradient descent over all parameters. Throws DTYPE, SHAPE, CONFIG
/// (counts, factors out of range, momentum without velocities), DEVICE_MISMATCH. Source: Sutskever
/// et al. 2013, as torch.optim.SGD has it.
void sgd(const SgdState& state, const SgdOptions& options);

}  // namespace espalier::ops
