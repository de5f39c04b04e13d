#include "binding/ops/rms_norm.h"

#include "binding/node/registry.h"

namespace espalier::node {
namespace {

// rmsNorm(x, weight, eps, residual?) -> [output, sum?]
const Registration kRmsNorm("rmsNorm", [](const Arguments& a) -> Napi::Value {
  const auto result = ops::rms_norm(a.tensor(0, "x"), a.tensor(1, "weight"), a.number(2, "eps"),
                                    a.optional_tensor(3, "residual"));
  Napi::Array pair = Napi::Array::New(a.env(), 2);
  pair.Set(0U, a.wrap(result.output));
  pair.Set(1U, a.wrap(result.sum));
  return pair;
});

}  // namespace
}  // namespace espalier::node
