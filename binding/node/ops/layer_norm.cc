#include "binding/ops/layer_norm.h"

#include "binding/node/registry.h"
#include "binding/ops/norm_backward.h"

namespace espalier::node {
namespace {

// layerNorm(x, weight, bias?, eps) -> tensor
const Registration kLayerNorm("layerNorm", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::layer_norm(a.tensor(0, "x"), a.tensor(1, "weight"),
                                a.optional_tensor(2, "bias"), a.number(3, "eps")));
});

// normBackward(gradient, x, weight, eps, centred, upstream?, wantWeight, wantBias)
//   -> [x, weight?, bias?]
const Registration kNormBackward("normBackward", [](const Arguments& a) -> Napi::Value {
  const auto result = ops::norm_backward(
      a.tensor(0, "gradient"), a.tensor(1, "x"), a.tensor(2, "weight"), a.number(3, "eps"),
      a.boolean(4, "centred"), a.optional_tensor(5, "upstream"),
      {.weight = a.boolean(6, "wantWeight"), .bias = a.boolean(7, "wantBias")});
  Napi::Array list = Napi::Array::New(a.env(), 3);
  list.Set(0U, a.wrap(result.x));
  list.Set(1U, a.wrap(result.weight));
  list.Set(2U, a.wrap(result.bias));
  return list;
});

}  // namespace
}  // namespace espalier::node
