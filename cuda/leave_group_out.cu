// The CPU backend's leave_group_out, on copies of the tensors.
#include "cuda/on_host.h"

namespace espalier::cuda {

Status CudaBackend::leave_group_out(const LeaveGroupOutArguments& a) {
  return on_host(*this, a, &Backend::leave_group_out,
                 {&LeaveGroupOutArguments::g, &LeaveGroupOutArguments::weight},
                 {&LeaveGroupOutArguments::output});
}

}  // namespace espalier::cuda
