// The CPU backend's ridge_update, on copies of the tensors.
#include "cuda/on_host.h"

namespace espalier::cuda {

Status CudaBackend::ridge_update(const RidgeUpdateArguments& a) {
  return on_host(
      *this, a, &Backend::ridge_update,
      {&RidgeUpdateArguments::weight, &RidgeUpdateArguments::g, &RidgeUpdateArguments::c},
      {&RidgeUpdateArguments::output});
}

}  // namespace espalier::cuda
