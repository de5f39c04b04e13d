// Dense layer: y = x Wᵀ + b. x: [M, K] f32; W: [N, K] and b: [N] f32, bf16 or f16; y: [M, N] f32,
// accumulated in f32. Its gradients: dx = dy W and dW = dyᵀ x.
#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/weight_product.h"

namespace espalier::cpu {

Status CpuBackend::linear(const LinearArguments& arguments) {
  return weight_product(arguments.x.as<float>(), arguments.output.shape.rows(), arguments.weight,
                        arguments.bias, arguments.output.as<float>(), arguments.products);
}

Status CpuBackend::linear_input_gradient(const LinearInputGradientArguments& arguments) {
  return input_gradient(arguments.gradient.as<float>(), arguments.gradient.shape.rows(),
                        arguments.weight, arguments.output.as<float>(), false, arguments.products);
}

Status CpuBackend::linear_weight_gradient(const LinearWeightGradientArguments& arguments) {
  return weight_gradient(arguments.gradient.as<float>(), arguments.x.as<float>(),
                         arguments.x.shape.rows(), arguments.output.shape[0],
                         arguments.output.shape[1], arguments.output.as<float>(),
                         arguments.products);
}

}  // namespace espalier::cpu
