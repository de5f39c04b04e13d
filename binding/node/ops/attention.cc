#include "binding/ops/attention.h"

#include "binding/node/registry.h"

namespace espalier::node {
namespace {

// attention(q, k, v, scale, causal, window) -> tensor
const Registration kAttention("attention", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::attention(a.tensor(0, "q"), a.tensor(1, "k"), a.tensor(2, "v"),
                               a.number(3, "scale"), a.boolean(4, "causal"),
                               a.integer(5, "window")));
});

}  // namespace
}  // namespace espalier::node
