#include "binding/ops/least_squares.h"

#include "binding/node/registry.h"

namespace espalier::node {
namespace {

// leastSquares(a, b) -> x
const Registration kLeastSquares("leastSquares", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::least_squares(a.tensor(0, "a"), a.tensor(1, "b")));
});

}  // namespace
}  // namespace espalier::node
