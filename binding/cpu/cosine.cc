// Cosine of corresponding rows: output[n] = Σ x y / sqrt(Σ x² Σ y²), 0 when either norm is 0.
// x, y: [N, D] f32; output: [N] f32. The three sums run in f64 by vector lanes, so that squares
// neither overflow nor vanish. Rows are independent, so threads do not change the bits.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "binding/cpu/cosine.cc"
#include "hwy/foreach_target.h"  // keeps its place before highway.h
#include "hwy/highway.h"
//
#include <cmath>

#include "binding/cpu/cpu_backend.h"

HWY_BEFORE_NAMESPACE();
namespace espalier::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

float cosine_of_row(const float* x, const float* y, int64_t columns) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> df;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  auto xy0 = hn::Zero(d);
  auto xx0 = hn::Zero(d);
  auto yy0 = hn::Zero(d);
  auto xy1 = hn::Zero(d);
  auto xx1 = hn::Zero(d);
  auto yy1 = hn::Zero(d);
  int64_t c = 0;
  for (; c + 2 * lanes <= columns; c += 2 * lanes) {
    const auto u0 = hn::PromoteTo(d, hn::LoadU(df, x + c));
    const auto v0 = hn::PromoteTo(d, hn::LoadU(df, y + c));
    const auto u1 = hn::PromoteTo(d, hn::LoadU(df, x + c + lanes));
    const auto v1 = hn::PromoteTo(d, hn::LoadU(df, y + c + lanes));
    xy0 = hn::MulAdd(u0, v0, xy0);
    xx0 = hn::MulAdd(u0, u0, xx0);
    yy0 = hn::MulAdd(v0, v0, yy0);
    xy1 = hn::MulAdd(u1, v1, xy1);
    xx1 = hn::MulAdd(u1, u1, xx1);
    yy1 = hn::MulAdd(v1, v1, yy1);
  }
  double xy = hn::GetLane(hn::SumOfLanes(d, hn::Add(xy0, xy1)));
  double xx = hn::GetLane(hn::SumOfLanes(d, hn::Add(xx0, xx1)));
  double yy = hn::GetLane(hn::SumOfLanes(d, hn::Add(yy0, yy1)));
  for (; c < columns; ++c) {
    const auto u = static_cast<double>(x[c]);
    const auto v = static_cast<double>(y[c]);
    xy += u * v;
    xx += u * u;
    yy += v * v;
  }
  if (xx == 0 || yy == 0) return 0;
  return static_cast<float>(xy / (std::sqrt(xx) * std::sqrt(yy)));
}

void cosine(const CosineArguments& a) {
  const int64_t rows = a.x.shape.rows();
  const int64_t columns = a.x.shape.columns();
#pragma omp parallel for schedule(static) if (rows * columns > 16384)
  for (int64_t row = 0; row < rows; ++row) {
    a.output.as<float>()[row] =
        cosine_of_row(a.x.as<float>() + row * columns, a.y.as<float>() + row * columns, columns);
  }
}

}  // namespace
}  // namespace espalier::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace espalier::cpu {

HWY_EXPORT(cosine);

Status CpuBackend::cosine(const CosineArguments& arguments) {
  if (arguments.output.shape.elements() > 0) HWY_DYNAMIC_DISPATCH(cosine)(arguments);
  return {};
}

}  // namespace espalier::cpu
#endif
