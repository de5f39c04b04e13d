#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "binding/cpu/round_bf16.cc"
#include "hwy/foreach_target.h"  // keeps its place before highway.h
#include "hwy/highway.h"
//
#include <algorithm>

#include "binding/cpu/load_weight.h"
#include "binding/cpu/round_bf16.h"
#include "binding/cpu/widen.h"

HWY_BEFORE_NAMESPACE();
namespace espalier::cpu::HWY_NAMESPACE {
namespace {

// Adding half a unit of the last kept bit, less one when that bit is even, carries into the kept
// bits exactly when the value is to be rounded up. NaN could carry into the sign: it is made quiet
// instead.
template <class W>
void round_typed(const W* source, int64_t count, uint16_t* target) {
  const hn::ScalableTag<float> d;
  const hn::RebindToUnsigned<decltype(d)> du;
  const hn::Rebind<uint16_t, decltype(d)> du16;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto value = load_weight(d, source + i);
    const auto bits = hn::BitCast(du, value);
    const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1U));
    const auto rounded = hn::Add(hn::Add(bits, hn::Set(du, 0x7fffU)), odd);
    const auto quiet = hn::Or(bits, hn::Set(du, 0x400000U));
    const auto kept = hn::IfThenElse(hn::RebindMask(du, hn::IsNaN(value)), quiet, rounded);
    hn::StoreU(hn::TruncateTo(du16, hn::ShiftRight<16>(kept)), du16, target + i);
  }
  for (; i < count; ++i) target[i] = bf16_from_float(load_weight_scalar(source + i));
}

void round_to_bf16(const void* source, DType dtype, int64_t count, uint16_t* target) {
  with_weight_type(source, dtype, [&](const auto* values) { round_typed(values, count, target); });
}

}  // namespace
}  // namespace espalier::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace espalier::cpu {

HWY_EXPORT(round_to_bf16);

void round_to_bf16(const void* source, DType dtype, int64_t count, uint16_t* target) {
  constexpr int64_t kBlock = 16384;
#pragma omp parallel for schedule(static) if (count > 2 * kBlock)
  for (int64_t start = 0; start < count; start += kBlock) {
    HWY_DYNAMIC_DISPATCH(round_to_bf16)
    (weight_at(source, dtype, start), dtype, std::min(kBlock, count - start), target + start);
  }
}

}  // namespace espalier::cpu
#endif
