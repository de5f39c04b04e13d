// Many f32 tensors times one factor, in place; nothing is touched when the factor is 1. The factor
// is on the device, so every thread makes it for itself and nobody waits.
#include "cuda/cuda_backend.h"
#include "cuda/multi_tensor.h"
#include "cuda/pack.h"

namespace espalier::cuda {
namespace {

template <class T>
__global__ void scale_pieces(const __grid_constant__ TensorTable<1> table, const T* scalar,
                             bool clip, double max_norm) {
  auto wanted = static_cast<double>(*scalar);
  if (clip) {
    // Written so that NaN passes, as in torch.nn.utils.clip_grad_norm_.
    wanted = max_norm / (wanted + 1e-6);
    if (wanted > 1) wanted = 1;
  }
  const auto factor = static_cast<float>(wanted);
  if (factor == 1.0F) return;
  for_piece(table, [&](const TensorItem<1>& item, auto size, int64_t i) {
    constexpr int kSize = decltype(size)::value;
    auto* data = static_cast<float*>(item.data[0]) + i;
    auto x = load_pack<kSize>(data);
    for (int j = 0; j < kSize; ++j) x.value[j] *= factor;
    store_pack(data, x);
  });
}

}  // namespace

Status CudaBackend::scale_many(const ScaleManyArguments& a) {
  std::vector<TensorItem<1>> items;
  for (const View& x : a.tensors) {
    items.push_back({.data = {x.data}, .count = x.shape.elements(), .index = 0, .first_piece = 0});
  }
  if (a.scalar.dtype == DType::f64) {
    return launch_over(*this, items, scale_pieces<double>, a.scalar.as<double>(), a.clip,
                       a.max_norm);
  }
  return launch_over(*this, items, scale_pieces<float>, a.scalar.as<float>(), a.clip, a.max_norm);
}

}  // namespace espalier::cuda
