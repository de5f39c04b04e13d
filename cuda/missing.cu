// Ops that this backend does not have yet: they fail and say so.
#include "cuda/cuda_backend.h"

namespace espalier::cuda {
namespace {

Status missing() { return {ErrorCode::unsupported, "this op has no CUDA kernel yet"}; }

}  // namespace

Status CudaBackend::gram(const GramArguments& /*arguments*/) { return missing(); }

}  // namespace espalier::cuda
