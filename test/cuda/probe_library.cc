// The CUDA library's probe on its own, for machines without nvcc.
#include "cuda/probe.h"

extern "C" void espalier_backend_probe(espalier::BackendProbe* probe) {
  probe->abi = ESPALIER_BACKEND_ABI;
  espalier::cuda::probe_device(*probe);
}

extern "C" espalier::Backend* espalier_backend_create(espalier::BackendRequest* /*request*/) {
  return nullptr;
}

extern "C" void espalier_backend_describe(char* text, size_t /*bytes*/) { *text = '\0'; }
