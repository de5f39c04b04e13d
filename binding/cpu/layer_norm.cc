// Layer normalisation: y_c = (x_c - μ) / sqrt(mean_c((x_c - μ)²) + ε) · w_c + b_c with μ =
// mean_c(x_c), one row of D columns at a time. x, y: [rows, D] f32; w, b: [D] f32, bf16 or f16.
// Means are summed in f32 by vector lanes, deviations from the mean itself. Rows are independent,
// so threads do not change the bits.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "binding/cpu/layer_norm.cc"
#include "hwy/foreach_target.h"  // keeps its place before highway.h
#include "hwy/highway.h"
//
#include <cmath>

#include "binding/cpu/columns.h"
#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/load_weight.h"

HWY_BEFORE_NAMESPACE();
namespace espalier::cpu::HWY_NAMESPACE {
namespace {

template <class W, class B>
void normalise(const float* x, const W* weight, const B* bias, float epsilon, float* y,
               int64_t columns) {
  const auto count = static_cast<float>(columns);
  const float mean =
      sum_columns(columns, [&](auto d, int64_t c) { return hn::LoadU(d, x + c); }) / count;
  const float squares = sum_columns(columns, [&](auto d, int64_t c) {
    const auto deviation = hn::Sub(hn::LoadU(d, x + c), hn::Set(d, mean));
    return hn::Mul(deviation, deviation);
  });
  const float factor = 1.0F / std::sqrt(squares / count + epsilon);
  for_columns(columns, [&](auto d, int64_t c) {
    const auto deviation = hn::Sub(hn::LoadU(d, x + c), hn::Set(d, mean));
    const auto scaled = hn::Mul(hn::Mul(deviation, hn::Set(d, factor)), load_weight(d, weight + c));
    hn::StoreU(bias == nullptr ? scaled : hn::Add(scaled, load_weight(d, bias + c)), d, y + c);
  });
}

void layer_norm(const LayerNormArguments& a) {
  const int64_t rows = a.x.shape.rows();
  const int64_t columns = a.x.shape.columns();
#pragma omp parallel for schedule(static) if (rows * columns > 16384)
  for (int64_t row = 0; row < rows; ++row) {
    const float* x = a.x.as<float>() + row * columns;
    float* y = a.output.as<float>() + row * columns;
    with_weight_type(a.weight.data, a.weight.dtype, [&](const auto* weight) {
      with_weight_type(a.bias.data, a.bias.dtype, [&](const auto* bias) {
        normalise(x, weight, bias, a.epsilon, y, columns);
      });
    });
  }
}

}  // namespace
}  // namespace espalier::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace espalier::cpu {

HWY_EXPORT(layer_norm);

Status CpuBackend::layer_norm(const LayerNormArguments& arguments) {
  if (arguments.x.shape.elements() > 0) HWY_DYNAMIC_DISPATCH(layer_norm)(arguments);
  return {};
}

}  // namespace espalier::cpu
#endif
