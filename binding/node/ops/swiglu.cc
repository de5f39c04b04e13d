#include "binding/ops/swiglu.h"

#include "binding/node/registry.h"

namespace espalier::node {
namespace {

// swiglu(gate, up) -> tensor
const Registration kSwiglu("swiglu", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::swiglu(a.tensor(0, "gate"), a.tensor(1, "up")));
});

}  // namespace
}  // namespace espalier::node
