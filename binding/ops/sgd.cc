#include "binding/ops/sgd.h"

#include "binding/ops/check.h"
#include "binding/ops/step_status.h"
#include "binding/ops/tensor_list.h"

namespace espalier::ops {
namespace {

constexpr const char* kOp = "sgd";

void check(const SgdState& s, const SgdOptions& options) {
  expect_tensors(kOp, "parameters", s.parameters);
  expect_like(kOp, "gradients", s.gradients, s.parameters);
  if (!s.velocities.empty()) expect_like(kOp, "velocities", s.velocities, s.parameters);
  expect_not_negative(kOp, "lr", options.learning_rate);
  expect_not_negative(kOp, "momentum", options.momentum);
  expect_not_negative(kOp, "weightDecay", options.weight_decay);
  if (s.velocities.empty() && options.momentum > 0) {
    value_error(kOp, "velocities", "one per parameter with momentum", "none");
  }
  if (options.nesterov && options.momentum == 0) {
    value_error(kOp, "momentum", "a number > 0 with nesterov", "0");
  }
  if (options.norm) {
    expect_dtype(kOp, "norm", *options.norm, {DType::f64});
    expect_shape(kOp, "norm", *options.norm, Shape{});
  }
}

}  // namespace

void sgd(const SgdState& state, const SgdOptions& options) {
  check(state, options);
  std::vector<OptionalTensor> changed = optional(state.parameters);
  changed.insert(changed.end(), state.velocities.begin(), state.velocities.end());
  std::vector<OptionalTensor> others = optional(state.gradients);
  others.push_back(options.norm);
  submit_step(kOp, changed, others, options.status, [=](Backend& backend) {
    SgdArguments arguments{.tensors = {},
                           .norm = view_of(options.norm),
                           .learning_rate = options.learning_rate,
                           .momentum = options.momentum,
                           .weight_decay = options.weight_decay,
                           .nesterov = options.nesterov};
    for (size_t i = 0; i < state.parameters.size(); ++i) {
      arguments.tensors.push_back(
          {.parameter = state.parameters[i].view(),
           .gradient = state.gradients[i].const_view(),
           .velocity = state.velocities.empty() ? View{} : state.velocities[i].view()});
    }
    return backend.sgd(arguments);
  });
}

}  // namespace espalier::ops
