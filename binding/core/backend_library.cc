#include "binding/core/backend_library.h"

#include <dlfcn.h>

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
  probe_ = reinterpret_cast<BackendProbeFunction>(dlsym(library, "espalier_backend_probe"));
  create_ = reinterpret_cast<BackendCreateFunction>(dlsym(library, "espalier_backend_create"));
  if (probe_ == nullptr || create_ == nullptr) {
    unavailable(path + " is no backend of espalier: it lacks espalier_backend_" +
                (probe_ == nullptr ? "probe" : "create"));
  }
}

BackendProbe BackendLibrary::probe() const {
  BackendProbe probe;
  probe_(&probe);
  if (probe.abi != backend_abi()) {
    unavailable(path_ + " was built for another version of espalier");
  }
  return probe;
}

std::unique_ptr<Backend> BackendLibrary::create(int ordinal, Backend& host) const {
  BackendRequest request{.abi = backend_abi(), .ordinal = ordinal, .host = &host};
  std::unique_ptr<Backend> backend(create_(&request));
  if (backend == nullptr) unavailable(path_ + ": " + request.message);
  return backend;
}

}  // namespace espalier
