// Marks in a device's stream, for timing.
#include "binding/ops/mark.h"

#include "binding/node/devices.h"
#include "binding/node/registry.h"

namespace espalier::node {
namespace {

constexpr napi_type_tag kMarkTag = {0x6573'7061'6c69'6572ULL, 0x6d61'726b'0000'0001ULL};

using MarkValue = Napi::External<ops::StreamMark>;

ops::StreamMark mark_at(const Arguments& a, size_t index, const char* name) {
  const Napi::Value value = a.value(index);
  bool ours = false;
  if (!value.IsExternal() ||
      napi_check_object_type_tag(a.env(), value, &kMarkTag, &ours) != napi_ok || !ours) {
    throw Error(ErrorCode::config, a.op(), std::string(name) + ": expected a mark");
  }
  return *value.As<MarkValue>().Data();
}

// mark(device) -> mark
const Registration kMark("mark", [](const Arguments& a) -> Napi::Value {
  auto mark =
      std::make_unique<ops::StreamMark>(ops::mark(device_named(a.op(), a.text(0, "device"))));
  const MarkValue value = MarkValue::New(
      a.env(), mark.get(), [](Napi::BasicEnv /*env*/, ops::StreamMark* held) { delete held; });
  static_cast<void>(mark.release());
  napi_type_tag_object(a.env(), value, &kMarkTag);
  return value;
});

// elapsed(from, to) -> tensor of the seconds between two marks
const Registration kElapsed("elapsed", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::elapsed(mark_at(a, 0, "from"), mark_at(a, 1, "to")));
});

}  // namespace
}  // namespace espalier::node
