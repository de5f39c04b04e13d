// The CPU backend's condition_number, on copies of the tensors.
#include "cuda/on_host.h"

namespace espalier::cuda {

Status CudaBackend::condition_number(const ConditionNumberArguments& a) {
  return on_host(*this, a, &Backend::condition_number, {&ConditionNumberArguments::a},
                 {&ConditionNumberArguments::output});
}

}  // namespace espalier::cuda
