#include "binding/core/backend_library.h"

#include <dlfcn.h>

#include <array>
#include <type_traits>

#include "binding/core/backend.h"

namespace espalier {
namespace {

constexpr const char* kOp = "openBackend";

[[noreturn]] void unavailable(const std::string& message) {
  throw Error(ErrorCode::device_unavailable, kOp, message);
}

}  // namespace

uint32_t backend_abi() { return ESPALIER_BACKEND_ABI; }

BackendLibrary::BackendLibrary(const std::string& path) : path_(path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) {
    const char* reason = dlerror();
    unavailable(reason == nullptr ? "could not open " + path : reason);
  }
  const auto bind = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
    if (function == nullptr) unavailable(path + " is no backend of espalier: it lacks " + name);
  };
  bind(probe_, "espalier_backend_probe");
  bind(create_, "espalier_backend_create");
  bind(describe_, "espalier_backend_describe");
}

BackendProbe BackendLibrary::probe() const {
  BackendProbe probe;
  probe_(&probe);
  if (probe.abi != backend_abi()) {
    unavailable(path_ + " was built for another version of espalier");
  }
  return probe;
}

std::string BackendLibrary::description() const {
  std::array<char, 4096> text{};
  describe_(text.data(), text.size());
  return text.data();
}

std::unique_ptr<Backend> BackendLibrary::create(int ordinal, Backend& host) const {
  BackendRequest request{.abi = backend_abi(), .ordinal = ordinal, .host = &host};
  std::unique_ptr<Backend> backend(create_(&request));
  if (backend == nullptr) unavailable(path_ + ": " + request.message);
  return backend;
}

}  // namespace espalier
