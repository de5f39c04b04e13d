#include "binding/ops/ridge_update.h"

#include "binding/node/registry.h"

namespace espalier::node {
namespace {

// ridgeUpdate(w, g, c, damping) -> w'
const Registration kRidgeUpdate("ridgeUpdate", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::ridge_update(a.tensor(0, "w"), a.tensor(1, "g"), a.tensor(2, "c"),
                                  a.number(3, "damping")));
});

}  // namespace
}  // namespace espalier::node
