#include "binding/ops/masked_matmul.h"

#include "binding/node/registry.h"

namespace espalier::node {
namespace {

// maskedMatmul(x, w, bias?, rows?, columns?, mask?, compact)
const Registration kMaskedMatmul("maskedMatmul", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::masked_matmul(a.tensor(0, "x"), a.tensor(1, "w"), a.optional_tensor(2, "bias"),
                                   {.rows = a.optional_tensor(3, "rows"),
                                    .columns = a.optional_tensor(4, "columns"),
                                    .mask = a.optional_tensor(5, "mask"),
                                    .compact = a.boolean(6, "compact")}));
});

}  // namespace
}  // namespace espalier::node
