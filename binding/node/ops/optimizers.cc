#include "binding/node/registry.h"
#include "binding/ops/adam_w.h"
#include "binding/ops/clip.h"
#include "binding/ops/sgd.h"
#include "binding/ops/step_status.h"

namespace espalier::node {
namespace {

// adamW(parameters, gradients, m, v, steps, lr, beta1, beta2, eps, weightDecay, norm?, status?)
const Registration kAdamW("adamW", [](const Arguments& a) -> Napi::Value {
  ops::adam_w({.parameters = a.tensors(0, "parameters"),
               .gradients = a.tensors(1, "gradients"),
               .m = a.tensors(2, "m"),
               .v = a.tensors(3, "v"),
               .steps = a.tensors(4, "steps")},
              {.learning_rate = a.number(5, "lr"),
               .beta1 = a.number(6, "beta1"),
               .beta2 = a.number(7, "beta2"),
               .epsilon = a.number(8, "eps"),
               .weight_decay = a.number(9, "weightDecay"),
               .norm = a.optional_tensor(10, "norm"),
               .status = a.optional_tensor(11, "status")});
  return a.env().Undefined();
});

// sgd(parameters, gradients, velocities, lr, momentum, weightDecay, nesterov, norm?, status?)
const Registration kSgd("sgd", [](const Arguments& a) -> Napi::Value {
  ops::sgd({.parameters = a.tensors(0, "parameters"),
            .gradients = a.tensors(1, "gradients"),
            .velocities = a.tensors(2, "velocities")},
           {.learning_rate = a.number(3, "lr"),
            .momentum = a.number(4, "momentum"),
            .weight_decay = a.number(5, "weightDecay"),
            .nesterov = a.boolean(6, "nesterov"),
            .norm = a.optional_tensor(7, "norm"),
            .status = a.optional_tensor(8, "status")});
  return a.env().Undefined();
});

// stepStatus(tensors)
const Registration kStepStatus("stepStatus", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::step_status(a.tensors(0, "tensors")));
});

// globalNorm(tensors)
const Registration kGlobalNorm("globalNorm", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::global_norm(a.tensors(0, "tensors")));
});

// clipGradients(tensors, norm, maxNorm)
const Registration kClip("clipGradients", [](const Arguments& a) -> Napi::Value {
  ops::clip_gradients(a.tensors(0, "tensors"), a.tensor(1, "norm"), a.number(2, "maxNorm"));
  return a.env().Undefined();
});

// scaleInPlace(tensors, factor)
const Registration kScaleInPlace("scaleInPlace", [](const Arguments& a) -> Napi::Value {
  ops::scale_in_place(a.tensors(0, "tensors"), a.tensor(1, "factor"));
  return a.env().Undefined();
});

// accumulate(target, x)
const Registration kAccumulate("accumulate", [](const Arguments& a) -> Napi::Value {
  ops::accumulate(a.tensor(0, "target"), a.tensor(1, "x"));
  return a.env().Undefined();
});

}  // namespace
}  // namespace espalier::node
