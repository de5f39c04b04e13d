#include "binding/ops/column_moments.h"

#include "binding/node/registry.h"

namespace espalier::node {
namespace {

// columnMoments(x, into?, count) -> tensor; the result is a handle of its own on the memory of into
const Registration kColumnMoments("columnMoments", [](const Arguments& a) -> Napi::Value {
  return a.wrap(
      ops::column_moments(a.tensor(0, "x"), a.optional_tensor(1, "into"), a.integer(2, "count")));
});

}  // namespace
}  // namespace espalier::node
