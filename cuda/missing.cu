// Ops that this backend does not have yet: they fail and say so.
#include "cuda/cuda_backend.h"

namespace espalier::cuda {
namespace {

Status missing() { return {ErrorCode::unsupported, "this op has no CUDA kernel yet"}; }

}  // namespace

Status CudaBackend::rms_norm(const RmsNormArguments& /*arguments*/) { return missing(); }
Status CudaBackend::rope(const RopeArguments& /*arguments*/) { return missing(); }
Status CudaBackend::attention(const AttentionArguments& /*arguments*/) { return missing(); }
Status CudaBackend::gram(const GramArguments& /*arguments*/) { return missing(); }
Status CudaBackend::scale(const ScaleArguments& /*arguments*/) { return missing(); }
Status CudaBackend::cast(const CastArguments& /*arguments*/) { return missing(); }
Status CudaBackend::elementwise(const ElementwiseArguments& /*arguments*/) { return missing(); }
Status CudaBackend::layer_norm(const LayerNormArguments& /*arguments*/) { return missing(); }
Status CudaBackend::norm_backward(const NormBackwardArguments& /*arguments*/) { return missing(); }
Status CudaBackend::attention_backward(const AttentionBackwardArguments& /*arguments*/) {
  return missing();
}
Status CudaBackend::dropout(const DropoutArguments& /*arguments*/) { return missing(); }
Status CudaBackend::activation(const ActivationArguments& /*arguments*/) { return missing(); }
Status CudaBackend::activation_backward(const ActivationBackwardArguments& /*arguments*/) {
  return missing();
}

}  // namespace espalier::cuda
