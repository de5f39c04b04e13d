// Entry of the addon: instance data, classes, and every registered function.
#include "binding/node/environment.h"
#include "binding/node/errors.h"
#include "binding/node/mapped_file_object.h"
#include "binding/node/napi_setup.h"
#include "binding/node/registry.h"

namespace espalier::node {

std::vector<Registration::Entry>& Registration::entries() {
  static std::vector<Entry> entries;
  return entries;
}

namespace {

Napi::Value call(const Napi::CallbackInfo& info) {
  const auto& entry = *static_cast<Registration::Entry*>(info.Data());
  return guarded(info.Env(), [&] { return entry.function(Arguments(entry.name, info)); });
}

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  auto* environment = new Environment(env);
  env.SetInstanceData(environment);
  environment->mapped_file_class = Napi::Persistent(MappedFileObject::define(env));
  for (Registration::Entry& entry : Registration::entries()) {
    exports.Set(entry.name, Napi::Function::New(env, call, entry.name, &entry));
  }
  return exports;
}

}  // namespace
}  // namespace espalier::node

static Napi::Object InitialiseAddon(Napi::Env env, Napi::Object exports) {
  return espalier::node::initialise(env, exports);
}

NODE_API_MODULE(espalier, InitialiseAddon)
