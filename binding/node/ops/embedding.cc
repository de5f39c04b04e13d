#include "binding/ops/embedding.h"

#include "binding/node/registry.h"

namespace espalier::node {
namespace {

// embedding(ids, table)
const Registration kEmbedding("embedding", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::embedding(a.tensor(0, "ids"), a.tensor(1, "table")));
});

}  // namespace
}  // namespace espalier::node
