#include "binding/ops/cholesky_solve.h"

#include "binding/node/registry.h"

namespace espalier::node {
namespace {

// choleskySolve(h, b, damping, relative) -> x
const Registration kCholeskySolve("choleskySolve", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::cholesky_solve(a.tensor(0, "h"), a.tensor(1, "b"), a.number(2, "damping"),
                                    a.boolean(3, "relative")));
});

}  // namespace
}  // namespace espalier::node
