#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "binding/cpu/widen.cc"
#include "hwy/foreach_target.h"  // keeps its place before highway.h
#include "hwy/highway.h"
//
#include <algorithm>

#include "binding/cpu/load_weight.h"
#include "binding/cpu/widen.h"

HWY_BEFORE_NAMESPACE();
namespace espalier::cpu::HWY_NAMESPACE {
namespace {

template <class W>
void widen_typed(const W* source, int64_t count, float* target) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) hn::StoreU(load_weight(d, source + i), d, target + i);
  for (; i < count; ++i) target[i] = load_weight_scalar(source + i);
}

void widen(const void* source, DType dtype, int64_t count, float* target) {
  with_weight_type(source, dtype, [&](const auto* weight) { widen_typed(weight, count, target); });
}

}  // namespace
}  // namespace espalier::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace espalier::cpu {

HWY_EXPORT(widen);

void widen(const void* source, DType dtype, int64_t count, float* target) {
  HWY_DYNAMIC_DISPATCH(widen)(source, dtype, count, target);
}

void widen_parallel(const void* source, DType dtype, int64_t count, float* target) {
  constexpr int64_t kBlock = 16384;
#pragma omp parallel for schedule(static) if (count > kBlock)
  for (int64_t start = 0; start < count; start += kBlock) {
    widen(weight_at(source, dtype, start), dtype, std::min(kBlock, count - start), target + start);
  }
}

}  // namespace espalier::cpu
#endif
