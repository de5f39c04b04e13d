// The functions that the library exports.
#include <cstdio>
#include <new>

#include "cuda/cublaslt.h"
#include "cuda/cuda_backend.h"
#include "cuda/cusolver.h"
#include "cuda/probe.h"

#define ESPALIER_EXPORT extern "C" __attribute__((visibility("default")))

ESPALIER_EXPORT void espalier_backend_probe(espalier::BackendProbe* probe) {
  probe->abi = ESPALIER_BACKEND_ABI;
  espalier::cuda::probe_device(*probe);
}

ESPALIER_EXPORT espalier::Backend* espalier_backend_create(espalier::BackendRequest* request) {
  const auto refuse = [&](const char* why) -> espalier::Backend* {
    std::snprintf(request->message, sizeof(request->message), "%s", why);
    return nullptr;
  };
  if (request->abi != ESPALIER_BACKEND_ABI) {
    return refuse("the addon was built for another version of this library");
  }
  auto* backend = new (std::nothrow) espalier::cuda::CudaBackend(request->ordinal, *request->host);
  if (backend == nullptr) return refuse("the host has no memory left");
  return backend;
}

ESPALIER_EXPORT void espalier_backend_describe(char* text, size_t bytes) {
  std::snprintf(text, bytes, "%s\n%s", espalier::cuda::describe_cublaslt().c_str(),
                espalier::cuda::describe_cusolver().c_str());
}
