// Many tensors times one factor, in place; nothing is touched when the factor is 1.
#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/tensor_blocks.h"

namespace espalier::cpu {

Status CpuBackend::scale_many(const ScaleManyArguments& arguments) {
  const auto& tensors = arguments.tensors;
  const double scalar = arguments.scalar.dtype == DType::f64
                            ? *arguments.scalar.as<double>()
                            : static_cast<double>(*arguments.scalar.as<float>());
  // Written so that NaN passes, as in torch.nn.utils.clip_grad_norm_.
  double wanted = scalar;
  if (arguments.clip) {
    wanted = arguments.max_norm / (scalar + 1e-6);
    if (wanted > 1) wanted = 1;
  }
  const auto factor = static_cast<float>(wanted);
  if (factor == 1.0F) return {};
  const auto blocks = tensor_blocks(tensors, [](const View& x) { return x.shape.elements(); });
#pragma omp parallel for schedule(static) if (worth_threads(blocks))
  for (const TensorBlock& block : blocks) {
    auto* x = tensors[block.tensor].as<float>();
#pragma omp simd
    for (int64_t i = block.start; i < block.end; ++i) x[i] *= factor;
  }
  return {};
}

}  // namespace espalier::cpu
