#include "binding/ops/svd.h"

#include "binding/node/registry.h"

namespace espalier::node {
namespace {

// svd(a, vectors) -> [u?, s, vt?]
const Registration kSvd("svd", [](const Arguments& a) -> Napi::Value {
  const auto result = ops::svd(a.tensor(0, "a"), a.boolean(1, "vectors"));
  Napi::Array triple = Napi::Array::New(a.env(), 3);
  triple.Set(0U, a.wrap(result.u));
  triple.Set(1U, a.wrap(result.s));
  triple.Set(2U, a.wrap(result.vt));
  return triple;
});

}  // namespace
}  // namespace espalier::node
