#include "binding/ops/sum.h"

#include "binding/node/registry.h"

namespace espalier::node {
namespace {

// sumRows(x)
const Registration kSumRows("sumRows", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::sum_rows(a.tensor(0, "x")));
});

// sumColumns(x)
const Registration kSumColumns("sumColumns", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::sum_columns(a.tensor(0, "x")));
});

}  // namespace
}  // namespace espalier::node
