#include "binding/ops/cross_entropy_mean.h"

#include "binding/node/registry.h"

namespace espalier::node {
namespace {

// crossEntropyMean(hidden, w, targets, bias?, chunk, ignoreIndex, hiddenWanted, weightWanted,
// biasWanted, products?) -> [loss, hidden?, weight?, bias?]
const Registration kMean("crossEntropyMean", [](const Arguments& a) -> Napi::Value {
  const auto mean =
      ops::cross_entropy_mean(a.tensor(0, "hidden"), a.tensor(1, "w"), a.tensor(2, "targets"),
                              {.bias = a.optional_tensor(3, "bias"),
                               .chunk = a.integer(4, "chunk"),
                               .ignore_index = a.integer(5, "ignoreIndex"),
                               .products = a.products(9, "products")},
                              {.hidden = a.boolean(6, "hiddenWanted"),
                               .weight = a.boolean(7, "weightWanted"),
                               .bias = a.boolean(8, "biasWanted")});
  auto result = Napi::Array::New(a.env(), 4);
  result.Set(0U, a.wrap(mean.loss));
  result.Set(1U, a.wrap(mean.hidden));
  result.Set(2U, a.wrap(mean.weight));
  result.Set(3U, a.wrap(mean.bias));
  return result;
});

// softmaxCrossEntropy(logits, labels, ignoreIndex, gradientWanted) -> [loss, gradient?]
const Registration kSoftmax("softmaxCrossEntropy", [](const Arguments& a) -> Napi::Value {
  const auto mean =
      ops::softmax_cross_entropy(a.tensor(0, "logits"), a.tensor(1, "labels"),
                                 a.integer(2, "ignoreIndex"), a.boolean(3, "gradientWanted"));
  auto result = Napi::Array::New(a.env(), 2);
  result.Set(0U, a.wrap(mean.loss));
  result.Set(1U, a.wrap(mean.gradient));
  return result;
});

}  // namespace
}  // namespace espalier::node
