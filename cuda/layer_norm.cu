// Layer normalisation: y_c = (x_c - μ) / sqrt(mean_c((x_c - μ)²) + ε) · w_c + b_c with μ =
// mean_c(x_c), one row of D columns to a warp or a block. x, y: [rows, D] f32; w, b: [D] f32, bf16
// or f16. Means are summed in f32: by threads, then over the team in a fixed order; deviations are
// from the mean itself. A row is read once and stays in registers (norms.h); bound by memory.
#include "cuda/cuda_backend.h"
#include "cuda/norms.h"

namespace espalier::cuda {
namespace {

template <int kCount, class W, class B>
__global__ void __launch_bounds__(kTeam)
    layer_norm_kernel(const float* x, const W* weight, const B* bias, float* output, int64_t rows,
                      int64_t columns, float epsilon) {
  __shared__ float scratch[32];
  const auto count = static_cast<float>(columns);
  for_team_rows(rows, [&](int64_t row) {
    const int64_t start = row * columns;
    const auto load = [&](int64_t c) { return load_pack<kCount>(x + start + c); };
    const HeldRow<kCount> held(columns, load);
    const float mean = team_sum(held.sum(load, [](float v) { return v; }), scratch) / count;
    const float squares =
        team_sum(held.sum(load, [mean](float v) { return (v - mean) * (v - mean); }), scratch);
    const float factor = 1.0F / sqrtf(squares / count + epsilon);
    held.for_each(load, [&](int64_t c, Pack<float, kCount> pack) {
      const auto w = load_pack<kCount>(weight + c);
#pragma unroll
      for (int e = 0; e < kCount; ++e) {
        pack.value[e] = (pack.value[e] - mean) * factor * to_float(w.value[e]);
      }
      if (bias != nullptr) {
        const auto b = load_pack<kCount>(bias + c);
#pragma unroll
        for (int e = 0; e < kCount; ++e) pack.value[e] += to_float(b.value[e]);
      }
      store_pack(output + start + c, pack);
    });
  });
}

}  // namespace

Status CudaBackend::layer_norm(const LayerNormArguments& a) {
  if (a.x.shape.elements() == 0) return {};
  const int64_t rows = a.x.shape.rows();
  const int64_t columns = a.x.shape.columns();
  return with_weight_type(a.weight.dtype, [&](auto weight_type) {
    return with_weight_type(a.bias.dtype, [&](auto bias_type) {
      using W = decltype(weight_type);
      using B = decltype(bias_type);
      const auto* x = a.x.as<float>();
      const auto* weight = a.weight.as<W>();
      const auto* bias = a.bias.as<B>();
      auto* output = a.output.as<float>();
      const bool packs = in_packs<4>(columns, x) && in_packs<4>(columns, weight) &&
                         in_packs<4>(columns, bias) && in_packs<4>(columns, output);
      return launch(packs ? layer_norm_kernel<4, W, B> : layer_norm_kernel<1, W, B>,
                    team_grid(rows, packs ? columns / 4 : columns), stream_, x, weight, bias,
                    output, rows, columns, a.epsilon);
    });
  });
}

}  // namespace espalier::cuda
