#include "binding/ops/lora_linear.h"

#include "binding/node/registry.h"

namespace espalier::node {
namespace {

constexpr size_t kLayerArguments = 7;
constexpr size_t kGradientArguments = 10;

// loraLinear(x, products, ...(weight, bias?, a?, b?, scale, dropout, seed) of each layer)
//   -> [output, hidden?, ...]
const Registration kLoraLinear("loraLinear", [](const Arguments& a) -> Napi::Value {
  std::vector<ops::LoraLayer> layers;
  for (size_t i = 2; i < a.count(); i += kLayerArguments) {
    layers.push_back({.weight = a.tensor(i, "weight"),
                      .bias = a.optional_tensor(i + 1, "bias"),
                      .a = a.optional_tensor(i + 2, "a"),
                      .b = a.optional_tensor(i + 3, "b"),
                      .scale = a.number(i + 4, "scale"),
                      .dropout = a.number(i + 5, "dropout"),
                      .seed = static_cast<uint64_t>(a.integer(i + 6, "seed"))});
  }
  const auto outputs = ops::lora_linear(a.tensor(0, "x"), layers, a.products(1, "products"));
  const auto result = Napi::Array::New(a.env(), 2 * outputs.size());
  for (uint32_t i = 0; i < outputs.size(); ++i) {
    result.Set(2 * i, a.wrap(outputs[i].output));
    result.Set(2 * i + 1, a.wrap(outputs[i].hidden));
  }
  return result;
});

// loraLinearBackward(x?, shape, products, wantsX,
//   ...(gradient?, weight, a?, b?, hidden?, scale, dropout, seed, wantsA, wantsB) of each layer)
//   -> [dx?, da?, db?, ...]
const Registration kBackward("loraLinearBackward", [](const Arguments& a) -> Napi::Value {
  std::vector<ops::LoraLayerGradient> layers;
  for (size_t i = 4; i < a.count(); i += kGradientArguments) {
    layers.push_back({.gradient = a.optional_tensor(i, "gradient"),
                      .layer = {.weight = a.tensor(i + 1, "weight"),
                                .bias = std::nullopt,
                                .a = a.optional_tensor(i + 2, "a"),
                                .b = a.optional_tensor(i + 3, "b"),
                                .scale = a.number(i + 5, "scale"),
                                .dropout = a.number(i + 6, "dropout"),
                                .seed = static_cast<uint64_t>(a.integer(i + 7, "seed"))},
                      .hidden = a.optional_tensor(i + 4, "hidden"),
                      .wants_a = a.boolean(i + 8, "wantsA"),
                      .wants_b = a.boolean(i + 9, "wantsB")});
  }
  const auto gradients =
      ops::lora_linear_backward(a.optional_tensor(0, "x"), a.shape(1, "shape"), layers,
                                a.boolean(3, "wantsX"), a.products(2, "products"));
  const auto result = Napi::Array::New(a.env(), 1 + 2 * gradients.paths.size());
  result.Set(0U, a.wrap(gradients.x));
  for (uint32_t i = 0; i < gradients.paths.size(); ++i) {
    result.Set(2 * i + 1, a.wrap(gradients.paths[i].a));
    result.Set(2 * i + 2, a.wrap(gradients.paths[i].b));
  }
  return result;
});

}  // namespace
}  // namespace espalier::node
