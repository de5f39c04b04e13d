#include "binding/cpu/softmax_row.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "binding/cpu/softmax_row.cc"
#include "hwy/foreach_target.h"  // keeps its place before highway.h
#include "hwy/highway.h"
//
#include <algorithm>
#include <cmath>
#include <limits>

#include "binding/cpu/simd_math.h"

HWY_BEFORE_NAMESPACE();
namespace espalier::cpu::HWY_NAMESPACE {
namespace {

float largest(const float* z, int64_t count) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  float best = -std::numeric_limits<float>::infinity();
  int64_t i = 0;
  if (count >= lanes) {
    auto most = hn::LoadU(d, z);
    for (i = lanes; i + lanes <= count; i += lanes) most = hn::Max(most, hn::LoadU(d, z + i));
    best = hn::GetLane(hn::MaxOfLanes(d, most));
  }
  for (; i < count; ++i) best = std::max(best, z[i]);
  return best;
}

// log Σ exp(z - best).
double log_sum(const float* z, int64_t count, float best) {
  const hn::ScalableTag<float> d;
  const hn::Half<decltype(d)> dh;
  const hn::Rebind<double, decltype(dh)> dd;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto shift = hn::Set(d, best);
  auto lower = hn::Zero(dd);
  auto upper = hn::Zero(dd);
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto e = cpu::HWY_NAMESPACE::exp(d, hn::Sub(hn::LoadU(d, z + i), shift));
    lower = hn::Add(lower, hn::PromoteTo(dd, hn::LowerHalf(dh, e)));
    upper = hn::Add(upper, hn::PromoteTo(dd, hn::UpperHalf(dh, e)));
  }
  double sum = hn::GetLane(hn::SumOfLanes(dd, hn::Add(lower, upper)));
  for (; i < count; ++i) {
    sum += hn::GetLane(cpu::HWY_NAMESPACE::exp(d, hn::Set(d, z[i] - best)));
  }
  return std::log(sum);
}

// -log softmax(z)[target].
float loss_of(const float* z, int64_t count, int64_t target) {
  const float best = largest(z, count);
  return static_cast<float>(log_sum(z, count, best) +
                            (static_cast<double>(best) - static_cast<double>(z[target])));
}

// z = factor (softmax(z) - one_hot(target)) in place; returns what loss_of returns.
float gradient_of(float* z, int64_t count, int64_t target, float factor) {
  const float best = largest(z, count);
  const double logarithm = log_sum(z, count, best);
  const double target_logit = static_cast<double>(z[target]);
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto shift = hn::Set(d, best);
  const auto share =
      hn::Set(d, static_cast<float>(static_cast<double>(factor) * std::exp(-logarithm)));
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto e = cpu::HWY_NAMESPACE::exp(d, hn::Sub(hn::LoadU(d, z + i), shift));
    hn::StoreU(hn::Mul(e, share), d, z + i);
  }
  const hn::CappedTag<float, 1> d1;
  for (; i < count; ++i) {
    const auto e = cpu::HWY_NAMESPACE::exp(d1, hn::Set(d1, z[i] - best));
    z[i] = hn::GetLane(e) * hn::GetLane(share);
  }
  z[target] -= factor;
  return static_cast<float>(logarithm + (static_cast<double>(best) - target_logit));
}

}  // namespace
}  // namespace espalier::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace espalier::cpu {

HWY_EXPORT(loss_of);
HWY_EXPORT(gradient_of);

float softmax_loss(const float* z, int64_t count, int64_t target) {
  return HWY_DYNAMIC_DISPATCH(loss_of)(z, count, target);
}

float softmax_gradient(float* z, int64_t count, int64_t target, float factor) {
  return HWY_DYNAMIC_DISPATCH(gradient_of)(z, count, target, factor);
}

}  // namespace espalier::cpu
#endif
