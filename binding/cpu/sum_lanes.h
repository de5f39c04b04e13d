// Sums of the lanes of several vectors at once. Include after highway.h, inside a dispatched
// target: the function lives in that target's namespace.
#if defined(ESPALIER_SUM_LANES_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ESPALIER_SUM_LANES_H_
#undef ESPALIER_SUM_LANES_H_
#else
#define ESPALIER_SUM_LANES_H_
#endif

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace espalier::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// target[i] = sum of the lanes of v[i], which is overwritten. Adding even to odd lanes of two
/// vectors leaves the pair sums of both in one; after log2(lanes) rounds each lane is a total, in
/// order.
template <int kCount>
HWY_INLINE void sum_each(hn::Vec<hn::ScalableTag<float>>* v, float* target) {
  const hn::ScalableTag<float> d;
  constexpr int kLanes = static_cast<int>(hn::MaxLanes(hn::ScalableTag<float>()));
  if constexpr (kCount % kLanes == 0) {
    int count = kCount;
    for (int width = kLanes; width > 1; width /= 2, count /= 2) {
      for (int i = 0; i < count / 2; ++i) {
        v[i] = hn::Add(hn::ConcatEven(d, v[2 * i + 1], v[2 * i]),
                       hn::ConcatOdd(d, v[2 * i + 1], v[2 * i]));
      }
    }
    for (int i = 0; i < kCount / kLanes; ++i) hn::StoreU(v[i], d, target + i * kLanes);
  } else {
    for (int i = 0; i < kCount; ++i) target[i] = hn::GetLane(hn::SumOfLanes(d, v[i]));
  }
}

}  // namespace espalier::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
