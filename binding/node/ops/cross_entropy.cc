#include "binding/ops/cross_entropy.h"

#include "binding/node/registry.h"

namespace espalier::node {
namespace {

// crossEntropy(hidden, w, targets, bias?, chunk, ignoreIndex, products?)
const Registration kCrossEntropy("crossEntropy", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::cross_entropy(a.tensor(0, "hidden"), a.tensor(1, "w"), a.tensor(2, "targets"),
                                   {.bias = a.optional_tensor(3, "bias"),
                                    .chunk = a.integer(4, "chunk"),
                                    .ignore_index = a.integer(5, "ignoreIndex"),
                                    .products = a.products(6, "products")}));
});

}  // namespace
}  // namespace espalier::node
