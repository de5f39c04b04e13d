#include "binding/ops/cosine.h"

#include "binding/node/registry.h"

namespace espalier::node {
namespace {

// cosine(x, y) -> tensor
const Registration kCosine("cosine", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::cosine(a.tensor(0, "x"), a.tensor(1, "y")));
});

}  // namespace
}  // namespace espalier::node
