// Dense layer: y = x Wᵀ + b. x: [M, K] f32; W: [N, K] and b: [N] f32, bf16 or f16; y: [M, N] f32,
// accumulated in f32.
#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/weight_product.h"

namespace espalier::cpu {

Status CpuBackend::linear(const LinearArguments& arguments) {
  return weight_product(arguments.x.as<float>(), arguments.output.shape.rows(), arguments.weight,
                        arguments.bias, arguments.output.as<float>());
}

}  // namespace espalier::cpu
