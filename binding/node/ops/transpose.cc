#include "binding/ops/transpose.h"

#include "binding/node/registry.h"

namespace espalier::node {
namespace {

// transpose(x)
const Registration kTranspose("transpose", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::transpose(a.tensor(0, "x")));
});

}  // namespace
}  // namespace espalier::node
