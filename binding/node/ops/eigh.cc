#include "binding/ops/eigh.h"

#include "binding/node/registry.h"

namespace espalier::node {
namespace {

// eigh(a) -> [values, vectors]
const Registration kEigh("eigh", [](const Arguments& a) -> Napi::Value {
  const auto result = ops::eigh(a.tensor(0, "a"));
  Napi::Array pair = Napi::Array::New(a.env(), 2);
  pair.Set(0U, a.wrap(result.values));
  pair.Set(1U, a.wrap(result.vectors));
  return pair;
});

}  // namespace
}  // namespace espalier::node
