// Transposition of a square of vectors in registers. Include after highway.h, inside a dispatched
// target: the function lives in that target's namespace.
#if defined(ESPALIER_TRANSPOSE_LANES_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ESPALIER_TRANSPOSE_LANES_H_
#undef ESPALIER_TRANSPOSE_LANES_H_
#else
#define ESPALIER_TRANSPOSE_LANES_H_
#endif

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace espalier::cpu::HWY_NAMESPACE {

/// Transposes as many full vectors of f32 as each has lanes: lane i of vector j becomes lane j of
/// vector i. Each round takes the lowest bit of the lane to the top of the vector's index, and the
/// lowest bit of that to the top of the lane.
HWY_INLINE void transpose_lanes(
    hwy::HWY_NAMESPACE::Vec<hwy::HWY_NAMESPACE::ScalableTag<float>>* v) {
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::ScalableTag<float> d;
  constexpr int kCount = static_cast<int>(hn::MaxLanes(hn::ScalableTag<float>()));
  hn::Vec<hn::ScalableTag<float>> next[kCount];
  for (int width = kCount; width > 1; width /= 2) {
    for (int i = 0; i < kCount / 2; ++i) {
      next[i] = hn::ConcatEven(d, v[2 * i + 1], v[2 * i]);
      next[kCount / 2 + i] = hn::ConcatOdd(d, v[2 * i + 1], v[2 * i]);
    }
    for (int i = 0; i < kCount; ++i) v[i] = next[i];
  }
}

}  // namespace espalier::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
