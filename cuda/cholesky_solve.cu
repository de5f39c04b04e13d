// The CPU backend's cholesky_solve, on copies of the tensors.
#include "cuda/on_host.h"

namespace espalier::cuda {

Status CudaBackend::cholesky_solve(const CholeskySolveArguments& a) {
  return on_host(*this, a, &Backend::cholesky_solve,
                 {&CholeskySolveArguments::h, &CholeskySolveArguments::b},
                 {&CholeskySolveArguments::output});
}

}  // namespace espalier::cuda
