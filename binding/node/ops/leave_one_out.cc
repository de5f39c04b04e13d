#include "binding/ops/leave_one_out.h"

#include "binding/node/registry.h"
#include "binding/ops/check.h"

namespace espalier::node {
namespace {

ConditionMethod method(const std::string& name) {
  if (name == "exact") return ConditionMethod::svd;
  if (name == "lanczos") return ConditionMethod::lanczos;
  if (name == "none") return ConditionMethod::none;
  ops::value_error("leaveOneOut", "condition", "exact, lanczos or none", name);
}

// leaveOneOut(h, damping, condition) -> [residual, condition?]
const Registration kLeaveOneOut("leaveOneOut", [](const Arguments& a) -> Napi::Value {
  const auto result =
      ops::leave_one_out(a.tensor(0, "h"), a.number(1, "damping"), method(a.text(2, "condition")));
  Napi::Array pair = Napi::Array::New(a.env(), 2);
  pair.Set(0U, a.wrap(result.residual));
  pair.Set(1U, a.wrap(result.condition));
  return pair;
});

}  // namespace
}  // namespace espalier::node
