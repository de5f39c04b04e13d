#include "binding/ops/scale.h"

#include "binding/node/registry.h"

namespace espalier::node {
namespace {

// scale(x, factors, columns)
const Registration kScale("scale", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::scale(a.tensor(0, "x"), a.tensor(1, "factors"), a.boolean(2, "columns")));
});

}  // namespace
}  // namespace espalier::node
