#include "binding/ops/gram.h"

#include "binding/node/registry.h"

namespace espalier::node {
namespace {

// gram(x, y?, into?) -> tensor; the result is a handle of its own on the memory of into
const Registration kGram("gram", [](const Arguments& a) -> Napi::Value {
  return a.wrap(
      ops::gram(a.tensor(0, "x"), a.optional_tensor(1, "y"), a.optional_tensor(2, "into")));
});

}  // namespace
}  // namespace espalier::node
