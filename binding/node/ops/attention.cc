#include "binding/ops/attention.h"

#include "binding/node/registry.h"

namespace espalier::node {
namespace {

// Arguments first..first + 4: scale, causal, window, keyMask?, products?
ops::AttentionOptions options_at(const Arguments& a, size_t first) {
  return {.scale = a.number(first, "scale"),
          .causal = a.boolean(first + 1, "causal"),
          .window = a.integer(first + 2, "window"),
          .key_mask = a.optional_tensor(first + 3, "keyMask"),
          .products = a.products(first + 4, "products")};
}

// attention(q, k, v, scale, causal, window, keyMask?, products?, wantLogSumExp)
//   -> [output, logSumExp?]
const Registration kAttention("attention", [](const Arguments& a) -> Napi::Value {
  ops::AttentionOptions options = options_at(a, 3);
  options.want_log_sum_exp = a.boolean(8, "wantLogSumExp");
  const auto result = ops::attention(a.tensor(0, "q"), a.tensor(1, "k"), a.tensor(2, "v"), options);
  Napi::Array pair = Napi::Array::New(a.env(), 2);
  pair.Set(0U, a.wrap(result.output));
  pair.Set(1U, a.wrap(result.log_sum_exp));
  return pair;
});

// attentionBackward(gradient, q, k, v, output, logSumExp, scale, causal, window, keyMask?,
//   products?) -> [q, k, v]
const Registration kAttentionBackward("attentionBackward", [](const Arguments& a) -> Napi::Value {
  const auto result = ops::attention_backward(
      a.tensor(0, "gradient"), a.tensor(1, "q"), a.tensor(2, "k"), a.tensor(3, "v"),
      {a.tensor(4, "output"), a.tensor(5, "logSumExp")}, options_at(a, 6));
  Napi::Array list = Napi::Array::New(a.env(), 3);
  list.Set(0U, a.wrap(result.q));
  list.Set(1U, a.wrap(result.k));
  list.Set(2U, a.wrap(result.v));
  return list;
});

}  // namespace
}  // namespace espalier::node
