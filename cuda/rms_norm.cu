// RMSNorm: s = x + residual; y_c = s_c / sqrt(mean_c(s_c²) + ε) · w_c, one row of D columns to a
// warp or a block. x, residual, y: [rows, D] f32; w: [D] f32, bf16 or f16. The mean of squares is
// summed in f32: by threads, then over the team in a fixed order. A row is read once and stays in
// registers (norms.h); bound by memory.
#include "cuda/cuda_backend.h"
#include "cuda/norms.h"

namespace espalier::cuda {
namespace {

template <int kCount, class W>
__global__ void __launch_bounds__(kTeam)
    rms_norm_kernel(const float* x, const float* residual, const W* weight, float* output,
                    float* sum, int64_t rows, int64_t columns, float epsilon) {
  __shared__ float scratch[32];
  for_team_rows(rows, [&](int64_t row) {
    const int64_t start = row * columns;
    const auto load = [&](int64_t c) {
      auto pack = load_pack<kCount>(x + start + c);
      if (residual == nullptr) return pack;
      const auto other = load_pack<kCount>(residual + start + c);
#pragma unroll
      for (int e = 0; e < kCount; ++e) pack.value[e] += other.value[e];
      return pack;
    };
    const HeldRow<kCount> held(columns, load);
    if (residual != nullptr) {
      held.for_each(load, [&](int64_t c, const Pack<float, kCount>& pack) {
        store_pack(sum + start + c, pack);
      });
    }
    const float squares = team_sum(held.sum(load, [](float s) { return s * s; }), scratch);
    const float factor = 1.0F / sqrtf(squares / static_cast<float>(columns) + epsilon);
    held.for_each(load, [&](int64_t c, Pack<float, kCount> pack) {
      const auto w = load_pack<kCount>(weight + c);
#pragma unroll
      for (int e = 0; e < kCount; ++e) pack.value[e] *= factor * to_float(w.value[e]);
      store_pack(output + start + c, pack);
    });
  });
}

}  // namespace

Status CudaBackend::rms_norm(const RmsNormArguments& a) {
  if (a.x.shape.elements() == 0) return {};
  const int64_t rows = a.x.shape.rows();
  const int64_t columns = a.x.shape.columns();
  return with_weight_type(a.weight.dtype, [&](auto type) {
    using W = decltype(type);
    const auto* x = a.x.as<float>();
    const auto* residual = a.residual.as<float>();
    const auto* weight = a.weight.as<W>();
    auto* output = a.output.as<float>();
    auto* sum = a.sum.as<float>();
    const bool packs = in_packs<4>(columns, x) && in_packs<4>(columns, residual) &&
                       in_packs<4>(columns, weight) && in_packs<4>(columns, output) &&
                       in_packs<4>(columns, sum);
    return launch(packs ? rms_norm_kernel<4, W> : rms_norm_kernel<1, W>,
                  team_grid(rows, packs ? columns / 4 : columns), stream_, x, residual, weight,
                  output, sum, rows, columns, a.epsilon);
  });
}

}  // namespace espalier::cuda
