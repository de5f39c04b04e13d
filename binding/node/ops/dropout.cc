#include "binding/ops/dropout.h"

#include "binding/node/registry.h"

namespace espalier::node {
namespace {

// dropout(x, probability, seed) -> tensor
const Registration kDropout("dropout", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::dropout(a.tensor(0, "x"), a.number(1, "probability"),
                             static_cast<uint64_t>(a.integer(2, "seed"))));
});

}  // namespace
}  // namespace espalier::node
