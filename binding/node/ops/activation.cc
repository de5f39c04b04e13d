#include "binding/ops/activation.h"

#include "binding/node/registry.h"
#include "binding/ops/check.h"

namespace espalier::node {
namespace {

ActivationKind kind(const char* op, const std::string& name) {
  if (name == "gelu") return ActivationKind::gelu;
  if (name == "gelu_tanh") return ActivationKind::gelu_tanh;
  if (name == "tanh") return ActivationKind::tanh;
  if (name == "relu") return ActivationKind::relu;
  ops::value_error(op, "kind", "gelu, gelu_tanh, tanh or relu", name);
}

// activation(x, kind) -> tensor
const Registration kActivation("activation", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::activation(a.tensor(0, "x"), kind("activation", a.text(1, "kind"))));
});

// activationBackward(gradient, saved, kind) -> tensor
const Registration kActivationBackward("activationBackward", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::activation_backward(a.tensor(0, "gradient"), a.tensor(1, "saved"),
                                         kind("activationBackward", a.text(2, "kind"))));
});

}  // namespace
}  // namespace espalier::node
