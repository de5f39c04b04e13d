#include "binding/ops/squared_error.h"

#include "binding/node/registry.h"

namespace espalier::node {
namespace {

// squaredError(x, y?)
const Registration kSquaredError("squaredError", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::squared_error(a.tensor(0, "x"), a.optional_tensor(1, "y")));
});

}  // namespace
}  // namespace espalier::node
