// Kept columns are squeezed out of whole vectors while they are dense enough for that to pay, and
// fetched one by one otherwise.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "binding/cpu/pack_weight.cc"
#include "hwy/foreach_target.h"  // keeps its place before highway.h
#include "hwy/highway.h"
//
#include "binding/cpu/load_mask.h"
#include "binding/cpu/load_weight.h"
#include "binding/cpu/pack_weight.h"
#include "hwy/cache_control.h"

HWY_BEFORE_NAMESPACE();
namespace espalier::cpu::HWY_NAMESPACE {
namespace {

template <class W>
void pack_typed(const W* row, const uint8_t* mask, const WeightRow& next,
                const ColumnSelection& columns, int64_t begin, int64_t end, float* target) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto* next_row = static_cast<const W*>(next.weights);
  const auto load = [&](int64_t c) HWY_ATTR {
    if (next_row != nullptr) hwy::Prefetch(next_row + c);
    if (mask == nullptr) return load_weight(d, row + c);
    if (next.mask != nullptr) hwy::Prefetch(next.mask + c);
    return hn::IfThenElseZero(load_mask(d, mask + c), load_weight(d, row + c));
  };
  const auto load_one = [&](int64_t c) HWY_ATTR {
    return mask == nullptr || mask[c] != 0 ? load_weight_scalar(row + c) : 0.0F;
  };
  int64_t i = begin;
  if (columns.list == nullptr) {
    for (; i + lanes <= end; i += lanes) hn::StoreU(load(i), d, target + i - begin);
    for (; i < end; ++i) target[i - begin] = load_one(i);
    return;
  }
  if (columns.count * 4 >= columns.width) {
    // A whole vector is stored each time, so the end of the range is left to the loop below.
    int64_t c = i < end ? columns.list[i] : 0;
    for (; c + lanes <= columns.width && i + lanes <= end; c += lanes) {
      const auto kept = load_mask(d, columns.keep + c);
      hn::StoreU(hn::Compress(load(c), kept), d, target + i - begin);
      i += static_cast<int64_t>(hn::CountTrue(d, kept));
    }
  }
  for (; i < end; ++i) target[i - begin] = load_one(columns.list[i]);
}

void pack_row(const WeightRow& row, const WeightRow& next, DType dtype,
              const ColumnSelection& columns, int64_t begin, int64_t end, float* target) {
  with_weight_type(row.weights, dtype, [&](const auto* weights) {
    pack_typed(weights, row.mask, next, columns, begin, end, target);
  });
}

}  // namespace
}  // namespace espalier::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace espalier::cpu {

HWY_EXPORT(pack_row);

void pack_row(const WeightRow& row, const WeightRow& next, DType dtype,
              const ColumnSelection& columns, int64_t begin, int64_t end, float* target) {
  HWY_DYNAMIC_DISPATCH(pack_row)(row, next, dtype, columns, begin, end, target);
}

}  // namespace espalier::cpu
#endif
