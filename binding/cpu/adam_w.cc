// AdamW over many tensors, in f32 with f64 bias corrections. Every element is read and written
// once, so the pass runs at the speed of memory and plain loops are enough. Loshchilov and Hutter
// 2019, algorithm 2, in the order of operations of torch.optim.AdamW.
#include <cmath>

#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/tensor_blocks.h"

namespace espalier::cpu {
namespace {

// What is the same for all elements of a tensor.
struct Factors {
  float step_size;
  float second_root;
};

void update(const AdamWArguments& a, const AdamWTensor& tensor, const Factors& factors,
            int64_t start, int64_t end) {
  auto* p = tensor.parameter.as<float>();
  const auto* g = tensor.gradient.as<float>();
  auto* m = tensor.m.as<float>();
  auto* v = tensor.v.as<float>();
  const auto decay = static_cast<float>(1 - a.learning_rate * a.weight_decay);
  const auto first = static_cast<float>(1 - a.beta1);
  const auto kept = static_cast<float>(a.beta2);
  const auto second = static_cast<float>(1 - a.beta2);
  const auto epsilon = static_cast<float>(a.epsilon);
#pragma omp simd
  for (int64_t i = start; i < end; ++i) {
    const float mean = m[i] + first * (g[i] - m[i]);
    const float square = v[i] * kept + second * g[i] * g[i];
    m[i] = mean;
    v[i] = square;
    const float denominator = std::sqrt(square) / factors.second_root + epsilon;
    p[i] = p[i] * decay - factors.step_size * (mean / denominator);
  }
}

}  // namespace

Status CpuBackend::adam_w(const AdamWArguments& arguments) {
  const AdamWArguments& a = arguments;
  if (a.norm.given() && !std::isfinite(*a.norm.as<double>())) return {};
  // All that can fail comes before the first change.
  const auto blocks = tensor_blocks(
      a.tensors, [](const AdamWTensor& tensor) { return tensor.parameter.shape.elements(); });
  std::vector<Factors> factors;
  factors.reserve(a.tensors.size());
  for (const AdamWTensor& tensor : a.tensors) {
    const auto step = static_cast<double>(*tensor.step.as<float>() += 1.0F);
    factors.push_back(
        {.step_size = static_cast<float>(a.learning_rate / (1 - std::pow(a.beta1, step))),
         .second_root = static_cast<float>(std::sqrt(1 - std::pow(a.beta2, step)))});
  }
#pragma omp parallel for schedule(static) if (worth_threads(blocks))
  for (const TensorBlock& block : blocks) {
    update(a, a.tensors[block.tensor], factors[block.tensor], block.start, block.end);
  }
  return {};
}

}  // namespace espalier::cpu
