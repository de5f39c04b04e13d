// The CPU backend's leave_one_out, on copies of the tensors.
#include "cuda/on_host.h"

namespace espalier::cuda {

Status CudaBackend::leave_one_out(const LeaveOneOutArguments& a) {
  return on_host(*this, a, &Backend::leave_one_out, {&LeaveOneOutArguments::h},
                 {&LeaveOneOutArguments::residual, &LeaveOneOutArguments::condition});
}

}  // namespace espalier::cuda
