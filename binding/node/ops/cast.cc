#include "binding/ops/cast.h"

#include "binding/node/registry.h"

namespace espalier::node {
namespace {

// cast(x, dtype)
const Registration kCast("cast", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::cast(a.tensor(0, "x"), a.dtype(1, "dtype")));
});

}  // namespace
}  // namespace espalier::node
