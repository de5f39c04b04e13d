#include "binding/ops/rope.h"

#include "binding/node/registry.h"

namespace espalier::node {
namespace {

// rope(x, inverseFrequencies, offset, scale, inverse) -> tensor
const Registration kRope("rope", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::rope(a.tensor(0, "x"), a.tensor(1, "inverseFrequencies"),
                          a.integer(2, "offset"), a.number(3, "scale"), a.boolean(4, "inverse")));
});

}  // namespace
}  // namespace espalier::node
