#include "binding/ops/adam_w.h"

#include "binding/ops/check.h"
#include "binding/ops/step_status.h"
#include "binding/ops/tensor_list.h"

namespace espalier::ops {
namespace {

constexpr const char* kOp = "adamW";

void expect_decay_rate(const char* name, double value) {
  if (!(value >= 0 && value < 1)) {
    value_error(kOp, name, "a number in [0, 1)", std::to_string(value));
  }
}

void check(const AdamWState& s, const AdamWOptions& options) {
  expect_tensors(kOp, "parameters", s.parameters);
  expect_like(kOp, "gradients", s.gradients, s.parameters);
  expect_like(kOp, "m", s.m, s.parameters);
  expect_like(kOp, "v", s.v, s.parameters);
  if (s.steps.size() != s.parameters.size()) {
    value_error(kOp, "steps", std::to_string(s.parameters.size()) + " tensors",
                std::to_string(s.steps.size()));
  }
  for (const Tensor& step : s.steps) {
    expect_dtype(kOp, "steps", step, {DType::f32});
    expect_shape(kOp, "steps", step, Shape{});
  }
  expect_not_negative(kOp, "lr", options.learning_rate);
  expect_decay_rate("beta1", options.beta1);
  expect_decay_rate("beta2", options.beta2);
  expect_not_negative(kOp, "eps", options.epsilon);
  expect_not_negative(kOp, "weightDecay", options.weight_decay);
  if (options.norm) {
    expect_dtype(kOp, "norm", *options.norm, {DType::f64});
    expect_shape(kOp, "norm", *options.norm, Shape{});
  }
}

}  // namespace

void adam_w(const AdamWState& state, const AdamWOptions& options) {
  check(state, options);
  std::vector<OptionalTensor> changed;
  for (const auto* list : {&state.parameters, &state.m, &state.v, &state.steps}) {
    changed.insert(changed.end(), list->begin(), list->end());
  }
  std::vector<OptionalTensor> others = optional(state.gradients);
  others.push_back(options.norm);
  submit_step(kOp, changed, others, options.status, [=](Backend& backend) {
    AdamWArguments arguments{.tensors = {},
                             .norm = view_of(options.norm),
                             .learning_rate = options.learning_rate,
                             .beta1 = options.beta1,
                             .beta2 = options.beta2,
                             .epsilon = options.epsilon,
                             .weight_decay = options.weight_decay};
    for (size_t i = 0; i < state.parameters.size(); ++i) {
      arguments.tensors.push_back({.parameter = state.parameters[i].view(),
                                   .gradient = state.gradients[i].const_view(),
                                   .m = state.m[i].view(),
                                   .v = state.v[i].view(),
                                   .step = state.steps[i].view()});
    }
    return backend.adam_w(arguments);
  });
}

}  // namespace espalier::ops
