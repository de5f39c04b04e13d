// The emulated GPU can always be used.
#include "cuda/probe.h"

#include <cstdio>

#include "test/cuda/shim/fibers.h"

namespace espalier::cuda {

void probe_device(BackendProbe& probe) {
  probe.score = 1;
  probe.devices = shim::devices();
  probe.compute_capability = 80;
  probe.memory = uint64_t{16} << 30;
  std::snprintf(probe.device, sizeof(probe.device), "emulated GPU");
  std::snprintf(probe.reason, sizeof(probe.reason), "emulated on the host, for tests");
}

}  // namespace espalier::cuda
