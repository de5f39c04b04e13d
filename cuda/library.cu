// The two functions that the library exports.
#include <cstdio>
#include <memory>
#include <new>

#include "cuda/cuda_backend.h"
#include "cuda/probe.h"

#define ESPALIER_EXPORT extern "C" __attribute__((visibility("default")))

ESPALIER_EXPORT void espalier_backend_probe(espalier::BackendProbe* probe) {
  probe->abi = ESPALIER_BACKEND_ABI;
  espalier::cuda::probe_device(*probe);
}

ESPALIER_EXPORT espalier::Backend* espalier_backend_create(espalier::BackendRequest* request) {
  const auto refuse = [&](const char* why) {
    std::snprintf(request->message, sizeof(request->message), "%s", why);
    return nullptr;
  };
  if (request->abi != ESPALIER_BACKEND_ABI) {
    return refuse("the addon was built for another version of this library");
  }
  std::unique_ptr<espalier::cuda::CudaBackend> backend(
      new (std::nothrow) espalier::cuda::CudaBackend(request->ordinal, *request->host));
  if (backend == nullptr) return refuse("the host has no memory left");
  if (const espalier::Status status = backend->initialise(); !status.ok()) {
    return refuse(status.message().c_str());
  }
  return backend.release();
}
