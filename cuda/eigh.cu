// The CPU backend's eigh, on copies of the tensors.
#include "cuda/on_host.h"

namespace espalier::cuda {

Status CudaBackend::eigh(const EighArguments& a) {
  return on_host(*this, a, &Backend::eigh, {&EighArguments::a},
                 {&EighArguments::values, &EighArguments::vectors});
}

}  // namespace espalier::cuda
