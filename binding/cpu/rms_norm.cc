// RMSNorm: s = x + residual; y_c = s_c / sqrt(mean_c(s_c²) + ε) · w_c, one row of D columns at a
// time. x, residual, y: [rows, D] f32; w: [D] f32, bf16 or f16. The mean of squares is summed in
// f32 by vector lanes, four vectors wide. Rows are independent, so threads do not change the bits.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "binding/cpu/rms_norm.cc"
#include "hwy/foreach_target.h"  // keeps its place before highway.h
#include "hwy/highway.h"
//
#include <cmath>

#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/load_weight.h"

HWY_BEFORE_NAMESPACE();
namespace espalier::cpu::HWY_NAMESPACE {
namespace {

float sum_of_squares(const float* x, int64_t columns) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  auto sum0 = hn::Zero(d);
  auto sum1 = hn::Zero(d);
  auto sum2 = hn::Zero(d);
  auto sum3 = hn::Zero(d);
  int64_t c = 0;
  for (; c + 4 * lanes <= columns; c += 4 * lanes) {
    const auto v0 = hn::LoadU(d, x + c);
    const auto v1 = hn::LoadU(d, x + c + lanes);
    const auto v2 = hn::LoadU(d, x + c + 2 * lanes);
    const auto v3 = hn::LoadU(d, x + c + 3 * lanes);
    sum0 = hn::MulAdd(v0, v0, sum0);
    sum1 = hn::MulAdd(v1, v1, sum1);
    sum2 = hn::MulAdd(v2, v2, sum2);
    sum3 = hn::MulAdd(v3, v3, sum3);
  }
  for (; c + lanes <= columns; c += lanes) {
    const auto v = hn::LoadU(d, x + c);
    sum0 = hn::MulAdd(v, v, sum0);
  }
  const auto total = hn::Add(hn::Add(sum0, sum1), hn::Add(sum2, sum3));
  float sum = hn::GetLane(hn::SumOfLanes(d, total));
  for (; c < columns; ++c) sum += x[c] * x[c];
  return sum;
}

void add_rows(const float* x, const float* residual, float* sum, int64_t columns) {
  for (int64_t c = 0; c < columns; ++c) sum[c] = x[c] + residual[c];
}

template <class W>
void normalise(const float* x, const W* weight, float factor, float* y, int64_t columns) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto f = hn::Set(d, factor);
  int64_t c = 0;
  for (; c + lanes <= columns; c += lanes) {
    const auto scaled = hn::Mul(hn::LoadU(d, x + c), f);
    hn::StoreU(hn::Mul(scaled, load_weight(d, weight + c)), d, y + c);
  }
  for (; c < columns; ++c) y[c] = x[c] * factor * load_weight_scalar(weight + c);
}

void rms_norm(const RmsNormArguments& a) {
  const int64_t rows = a.x.shape.rows();
  const int64_t columns = a.x.shape.columns();
#pragma omp parallel for schedule(static) if (rows * columns > 16384)
  for (int64_t row = 0; row < rows; ++row) {
    const float* x = a.x.as<float>() + row * columns;
    float* y = a.output.as<float>() + row * columns;
    if (a.residual.given()) {
      float* sum = a.sum.as<float>() + row * columns;
      add_rows(x, a.residual.as<float>() + row * columns, sum, columns);
      x = sum;
    }
    const float mean = sum_of_squares(x, columns) / static_cast<float>(columns);
    const float factor = 1.0F / std::sqrt(mean + a.epsilon);
    with_weight_type(a.weight.data, a.weight.dtype,
                     [&](const auto* weight) { normalise(x, weight, factor, y, columns); });
  }
}

}  // namespace
}  // namespace espalier::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace espalier::cpu {

HWY_EXPORT(rms_norm);

Status CpuBackend::rms_norm(const RmsNormArguments& arguments) {
  if (arguments.x.shape.elements() > 0) HWY_DYNAMIC_DISPATCH(rms_norm)(arguments);
  return {};
}

}  // namespace espalier::cpu
#endif
