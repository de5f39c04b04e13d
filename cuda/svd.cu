// The CPU backend's svd, on copies of the tensors.
#include "cuda/on_host.h"

namespace espalier::cuda {

Status CudaBackend::svd(const SvdArguments& a) {
  return on_host(*this, a, &Backend::svd, {&SvdArguments::a},
                 {&SvdArguments::u, &SvdArguments::s, &SvdArguments::vt});
}

}  // namespace espalier::cuda
