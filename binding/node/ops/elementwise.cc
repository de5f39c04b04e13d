#include "binding/ops/elementwise.h"

#include "binding/node/registry.h"

namespace espalier::node {
namespace {

// add(x, y)
const Registration kAdd("add", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::elementwise(ElementwiseKind::add, a.tensor(0, "x"), a.tensor(1, "y")));
});

// subtract(x, y)
const Registration kSubtract("subtract", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::elementwise(ElementwiseKind::subtract, a.tensor(0, "x"), a.tensor(1, "y")));
});

// multiply(x, y)
const Registration kMultiply("multiply", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::elementwise(ElementwiseKind::multiply, a.tensor(0, "x"), a.tensor(1, "y")));
});

// multiplyInto(target, x): target times x, in place
const Registration kMultiplyInto("multiplyInto", [](const Arguments& a) -> Napi::Value {
  ops::multiply_into(a.tensor(0, "target"), a.tensor(1, "x"));
  return a.env().Undefined();
});

}  // namespace
}  // namespace espalier::node
