#include "binding/ops/leave_group_out.h"

#include "binding/node/registry.h"

namespace espalier::node {
namespace {

// leaveGroupOut(g, w, groupSize, damping) -> scores
const Registration kLeaveGroupOut("leaveGroupOut", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::leave_group_out(a.tensor(0, "g"), a.tensor(1, "w"), a.integer(2, "groupSize"),
                                     a.number(3, "damping")));
});

}  // namespace
}  // namespace espalier::node
