#include "binding/ops/swiglu.h"

#include "binding/node/registry.h"

namespace espalier::node {
namespace {

// swiglu(gate, up) -> tensor
const Registration kSwiglu("swiglu", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::swiglu(a.tensor(0, "gate"), a.tensor(1, "up")));
});

// swigluBackward(gradient, gate, up) -> [gate gradient, up gradient]
const Registration kSwigluBackward("swigluBackward", [](const Arguments& a) -> Napi::Value {
  const auto result =
      ops::swiglu_backward(a.tensor(0, "gradient"), a.tensor(1, "gate"), a.tensor(2, "up"));
  Napi::Array pair = Napi::Array::New(a.env(), 2);
  pair.Set(0U, a.wrap(result.gate));
  pair.Set(1U, a.wrap(result.up));
  return pair;
});

}  // namespace
}  // namespace espalier::node
