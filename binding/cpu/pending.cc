// Ops whose kernels have not landed yet; each disappears from here with its own file.
#include "binding/cpu/cpu_backend.h"

namespace espalier::cpu {

Status CpuBackend::condition_number(const ConditionNumberArguments&) {
  return {ErrorCode::unsupported, "not implemented"};
}

}  // namespace espalier::cpu
