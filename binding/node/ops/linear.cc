#include "binding/ops/linear.h"

#include "binding/node/registry.h"

namespace espalier::node {
namespace {

// linear(x, weight, bias?, products?)
const Registration kLinear("linear", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::linear(a.tensor(0, "x"), a.tensor(1, "weight"), a.optional_tensor(2, "bias"),
                            a.products(3, "products")));
});

// linearInputGradient(gradient, weight, products?)
const Registration kInputGradient("linearInputGradient", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::linear_input_gradient(a.tensor(0, "gradient"), a.tensor(1, "weight"),
                                           a.products(2, "products")));
});

// linearWeightGradient(gradient, x, products?)
const Registration kWeightGradient("linearWeightGradient", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::linear_weight_gradient(a.tensor(0, "gradient"), a.tensor(1, "x"),
                                            a.products(2, "products")));
});

}  // namespace
}  // namespace espalier::node
