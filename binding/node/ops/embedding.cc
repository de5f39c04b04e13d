#include "binding/ops/embedding.h"

#include "binding/node/registry.h"

namespace espalier::node {
namespace {

// embedding(ids, table)
const Registration kEmbedding("embedding", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::embedding(a.tensor(0, "ids"), a.tensor(1, "table")));
});

// embeddingBackward(gradient, ids, rows, paddingIndex)
const Registration kEmbeddingBackward("embeddingBackward", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::embedding_backward(a.tensor(0, "gradient"), a.tensor(1, "ids"),
                                        a.integer(2, "rows"), a.integer(3, "paddingIndex")));
});

}  // namespace
}  // namespace espalier::node
