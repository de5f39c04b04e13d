// The CPU backend's least_squares, on copies of the tensors.
#include "cuda/on_host.h"

namespace espalier::cuda {

Status CudaBackend::least_squares(const LeastSquaresArguments& a) {
  return on_host(*this, a, &Backend::least_squares,
                 {&LeastSquaresArguments::a, &LeastSquaresArguments::b},
                 {&LeastSquaresArguments::output});
}

}  // namespace espalier::cuda
