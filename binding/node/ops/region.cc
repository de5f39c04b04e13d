// Stretches of work that come again.
#include "binding/ops/region.h"

#include "binding/node/devices.h"
#include "binding/node/registry.h"

namespace espalier::node {
namespace {

// beginRegion(device, key)
const Registration kBegin("beginRegion", [](const Arguments& a) -> Napi::Value {
  ops::begin_region(device_named(a.op(), a.text(0, "device")), a.text(1, "key"));
  return a.env().Undefined();
});

// endRegion(device)
const Registration kEnd("endRegion", [](const Arguments& a) -> Napi::Value {
  ops::end_region(device_named(a.op(), a.text(0, "device")));
  return a.env().Undefined();
});

}  // namespace
}  // namespace espalier::node
