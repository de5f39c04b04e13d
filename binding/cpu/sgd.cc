// Stochastic gradient descent over many tensors, in f32, in the order of operations of
// torch.optim.SGD without dampening: a velocity of zeros before the first step then gives what
// starting with the first gradient gives. Memory bound, so plain loops are enough.
#include <cmath>

#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/tensor_blocks.h"

namespace espalier::cpu {
namespace {

void update(const SgdArguments& a, const SgdTensor& tensor, int64_t start, int64_t end) {
  auto* p = tensor.parameter.as<float>();
  const auto* g = tensor.gradient.as<float>();
  auto* u = tensor.velocity.as<float>();
  const auto rate = static_cast<float>(a.learning_rate);
  const auto momentum = static_cast<float>(a.momentum);
  const auto decay = static_cast<float>(a.weight_decay);
  if (u == nullptr) {
#pragma omp simd
    for (int64_t i = start; i < end; ++i) p[i] -= rate * (g[i] + decay * p[i]);
    return;
  }
  const float ahead = a.nesterov ? momentum : 1.0F;
  const float now = a.nesterov ? 1.0F : 0.0F;
#pragma omp simd
  for (int64_t i = start; i < end; ++i) {
    const float gradient = g[i] + decay * p[i];
    u[i] = momentum * u[i] + gradient;
    p[i] -= rate * (now * gradient + ahead * u[i]);
  }
}

}  // namespace

Status CpuBackend::sgd(const SgdArguments& arguments) {
  const SgdArguments& a = arguments;
  if (a.norm.given() && !std::isfinite(*a.norm.as<double>())) return {};
  const auto blocks = tensor_blocks(
      a.tensors, [](const SgdTensor& tensor) { return tensor.parameter.shape.elements(); });
#pragma omp parallel for schedule(static) if (worth_threads(blocks))
  for (const TensorBlock& block : blocks) {
    update(a, a.tensors[block.tensor], block.start, block.end);
  }
  return {};
}

}  // namespace espalier::cpu
