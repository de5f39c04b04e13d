#include "binding/ops/gather.h"

#include "binding/node/registry.h"

namespace espalier::node {
namespace {

// gatherRows(x, indices)
const Registration kGatherRows("gatherRows", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::gather_rows(a.tensor(0, "x"), a.tensor(1, "indices")));
});

// gatherColumns(x, indices)
const Registration kGatherColumns("gatherColumns", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::gather_columns(a.tensor(0, "x"), a.tensor(1, "indices")));
});

// principalSubmatrix(x, indices, consume)
const Registration kPrincipalSubmatrix("principalSubmatrix", [](const Arguments& a) -> Napi::Value {
  return a.wrap(
      ops::principal_submatrix(a.tensor(0, "x"), a.tensor(1, "indices"), a.boolean(2, "consume")));
});

}  // namespace
}  // namespace espalier::node
