#include "binding/ops/condition_number.h"

#include "binding/node/registry.h"
#include "binding/ops/check.h"

namespace espalier::node {
namespace {

ConditionMethod method(const std::string& name) {
  if (name == "svd") return ConditionMethod::svd;
  if (name == "lanczos") return ConditionMethod::lanczos;
  ops::value_error("conditionNumber", "method", "svd or lanczos", name);
}

// conditionNumber(a, method) -> number as a tensor
const Registration kConditionNumber("conditionNumber", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::condition_number(a.tensor(0, "a"), method(a.text(1, "method"))));
});

}  // namespace
}  // namespace espalier::node
