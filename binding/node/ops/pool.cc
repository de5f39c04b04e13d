#include "binding/ops/pool.h"

#include "binding/node/registry.h"

namespace espalier::node {
namespace {

// meanPool(x, mask)
const Registration kMeanPool("meanPool", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::mean_pool(a.tensor(0, "x"), a.tensor(1, "mask")));
});

// meanPoolBackward(gradient, mask)
const Registration kMeanPoolBackward("meanPoolBackward", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::mean_pool_backward(a.tensor(0, "gradient"), a.tensor(1, "mask")));
});

// selectToken(x, index)
const Registration kSelectToken("selectToken", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::select_token(a.tensor(0, "x"), a.tensor(1, "index")));
});

// selectTokenBackward(gradient, index, tokens)
const Registration kSelectBackward("selectTokenBackward", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::select_token_backward(a.tensor(0, "gradient"), a.tensor(1, "index"),
                                           a.integer(2, "tokens")));
});

}  // namespace
}  // namespace espalier::node
