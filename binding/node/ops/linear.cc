#include "binding/ops/linear.h"

#include "binding/node/registry.h"

namespace espalier::node {
namespace {

// linear(x, weight, bias?)
const Registration kLinear("linear", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::linear(a.tensor(0, "x"), a.tensor(1, "weight"), a.optional_tensor(2, "bias")));
});

}  // namespace
}  // namespace espalier::node
