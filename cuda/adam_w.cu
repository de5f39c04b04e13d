// AdamW over many f32 tensors, in the order of operations of torch.optim.AdamW (Loshchilov and
// Hutter 2019, algorithm 2): with t = step + 1,
//   p *= 1 - lr decay;  m += (1 - β1)(g - m);  v = β2 v + (1 - β2) g²;
//   p -= lr / (1 - β1^t) m / (sqrt(v) / sqrt(1 - β2^t) + ε).
// A small kernel first counts the steps and makes the corrections, in f64, because every tensor
// brings its own step. Whether the norm is finite is decided on the device: nobody waits for it.
// Bound by memory: 28 bytes an element.
#include <algorithm>

#include "cuda/cuda_backend.h"
#include "cuda/multi_tensor.h"
#include "cuda/pack.h"
#include "cuda/scratch.h"

namespace espalier::cuda {
namespace {

// What is the same for all elements of a tensor.
struct Corrections {
  float step_size;
  float second_root;
};

// Some tensors' step counters.
struct Steps {
  static constexpr int kMost = 256;
  float* data[kMost];
  int count;
};

// What is the same for all tensors.
struct Rates {
  float decay;
  float first;
  float kept;
  float second;
  float epsilon;
};

__global__ void count_steps(const __grid_constant__ Steps steps, const double* norm,
                            double learning_rate, double beta1, double beta2,
                            Corrections* corrections) {
  if (!finite_or_absent(norm)) return;
  for (int i = static_cast<int>(threadIdx.x); i < steps.count; i += static_cast<int>(blockDim.x)) {
    const float step = *steps.data[i] + 1.0F;
    *steps.data[i] = step;
    const auto t = static_cast<double>(step);
    corrections[i] = {.step_size = static_cast<float>(learning_rate / (1 - pow(beta1, t))),
                      .second_root = static_cast<float>(sqrt(1 - pow(beta2, t)))};
  }
}

__global__ void update(const __grid_constant__ TensorTable<4> table, const double* norm,
                       Rates rates, const Corrections* corrections) {
  if (!finite_or_absent(norm)) return;
  for_piece(table, [&](const TensorItem<4>& item, auto size, int64_t i) {
    constexpr int kSize = decltype(size)::value;
    const Corrections correction = corrections[item.index];
    auto* parameters = static_cast<float*>(item.data[0]) + i;
    auto* means = static_cast<float*>(item.data[2]) + i;
    auto* squares = static_cast<float*>(item.data[3]) + i;
    auto p = load_pack<kSize>(parameters);
    const auto g = load_pack<kSize>(static_cast<const float*>(item.data[1]) + i);
    auto m = load_pack<kSize>(means);
    auto v = load_pack<kSize>(squares);
#pragma unroll
    for (int j = 0; j < kSize; ++j) {
      m.value[j] += rates.first * (g.value[j] - m.value[j]);
      v.value[j] = v.value[j] * rates.kept + rates.second * g.value[j] * g.value[j];
      const float denominator = sqrtf(v.value[j]) / correction.second_root + rates.epsilon;
      p.value[j] = p.value[j] * rates.decay - correction.step_size * (m.value[j] / denominator);
    }
    store_pack(means, m);
    store_pack(squares, v);
    store_pack(parameters, p);
  });
}

Status count_all_steps(const CudaBackend& backend, const AdamWArguments& a,
                       Corrections* corrections) {
  Steps steps{};
  for (size_t start = 0; start < a.tensors.size(); start += Steps::kMost) {
    steps.count = static_cast<int>(std::min<size_t>(Steps::kMost, a.tensors.size() - start));
    for (int i = 0; i < steps.count; ++i) {
      steps.data[i] = a.tensors[start + static_cast<size_t>(i)].step.as<float>();
    }
    if (Status status =
            launch(count_steps, {.blocks = 1, .threads = 128}, backend.stream(), steps,
                   a.norm.as<double>(), a.learning_rate, a.beta1, a.beta2, corrections + start);
        !status.ok()) {
      return status;
    }
  }
  return {};
}

}  // namespace

Status CudaBackend::adam_w(const AdamWArguments& a) {
  const Scratch<Corrections> corrections(*this, a.tensors.size());
  if (corrections.data() == nullptr) return out_of_scratch();
  if (Status status = count_all_steps(*this, a, corrections.data()); !status.ok()) return status;
  std::vector<TensorItem<4>> items;
  for (const AdamWTensor& tensor : a.tensors) {
    items.push_back({.data = {tensor.parameter.data, const_cast<void*>(tensor.gradient.data),
                              tensor.m.data, tensor.v.data},
                     .count = tensor.parameter.shape.elements(),
                     .index = static_cast<int64_t>(items.size()),
                     .first_piece = 0});
  }
  const Rates rates{.decay = static_cast<float>(1 - a.learning_rate * a.weight_decay),
                    .first = static_cast<float>(1 - a.beta1),
                    .kept = static_cast<float>(a.beta2),
                    .second = static_cast<float>(1 - a.beta2),
                    .epsilon = static_cast<float>(a.epsilon)};
  return launch_over(*this, items, update, a.norm.as<double>(), rates, corrections.data());
}

}  // namespace espalier::cuda
