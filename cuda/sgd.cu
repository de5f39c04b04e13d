// Stochastic gradient descent over many f32 tensors, in the order of operations of torch.optim.SGD
// without dampening: g += decay p;  u = momentum u + g;  p -= lr (nesterov ? g + momentum u : u).
// Without a velocity p -= lr g. Whether the norm is finite is decided on the device. Bound by
// memory: 20 bytes an element, 12 without velocity.
#include "cuda/cuda_backend.h"
#include "cuda/multi_tensor.h"
#include "cuda/pack.h"

namespace espalier::cuda {
namespace {

struct Rates {
  float rate;
  float momentum;
  float decay;
  float ahead;  // share of the new velocity in the step
  float now;    // share of the gradient
};

__global__ void update(const __grid_constant__ TensorTable<3> table, const double* norm,
                       Rates rates) {
  if (!finite_or_absent(norm)) return;
  for_piece(table, [&](const TensorItem<3>& item, auto size, int64_t i) {
    constexpr int kSize = decltype(size)::value;
    auto* parameters = static_cast<float*>(item.data[0]) + i;
    auto* velocities = static_cast<float*>(item.data[2]);
    auto p = load_pack<kSize>(parameters);
    auto g = load_pack<kSize>(static_cast<const float*>(item.data[1]) + i);
    for (int j = 0; j < kSize; ++j) g.value[j] += rates.decay * p.value[j];
    auto step = g;
    if (velocities != nullptr) {
      auto u = load_pack<kSize>(velocities + i);
      for (int j = 0; j < kSize; ++j) {
        u.value[j] = rates.momentum * u.value[j] + g.value[j];
        step.value[j] = rates.now * g.value[j] + rates.ahead * u.value[j];
      }
      store_pack(velocities + i, u);
    }
    for (int j = 0; j < kSize; ++j) p.value[j] -= rates.rate * step.value[j];
    store_pack(parameters, p);
  });
}

}  // namespace

Status CudaBackend::sgd(const SgdArguments& a) {
  std::vector<TensorItem<3>> items;
  for (const SgdTensor& tensor : a.tensors) {
    items.push_back({.data = {tensor.parameter.data, const_cast<void*>(tensor.gradient.data),
                              tensor.velocity.data},
                     .count = tensor.parameter.shape.elements(),
                     .index = 0,
                     .first_piece = 0});
  }
  const auto momentum = static_cast<float>(a.momentum);
  const Rates rates{.rate = static_cast<float>(a.learning_rate),
                    .momentum = momentum,
                    .decay = static_cast<float>(a.weight_decay),
                    .ahead = a.nesterov ? momentum : 1.0F,
                    .now = a.nesterov ? 1.0F : 0.0F};
  return launch_over(*this, items, update, a.norm.as<double>(), rates);
}

}  // namespace espalier::cuda
