// Each load of weights is masked and meets all samples of the tile, whose sums stay in registers.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "binding/cpu/masked_dots.cc"
#include "hwy/foreach_target.h"  // keeps its place before highway.h
#include "hwy/highway.h"
//
#include <algorithm>

#include "binding/cpu/load_mask.h"
#include "binding/cpu/load_weight.h"
#include "binding/cpu/masked_dots.h"
#include "binding/cpu/sum_lanes.h"

HWY_BEFORE_NAMESPACE();
namespace espalier::cpu::HWY_NAMESPACE {
namespace {

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

#if HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM_A64
constexpr int kTall = 4;
#else
constexpr int kTall = 2;
#endif
// Columns that are skipped together when no row keeps any of them.
constexpr int64_t kChunk = 64;

int64_t tile_rows() { return kTall; }

bool keeps_none(const DotsTile& tile, int64_t c) {
  const hn::ScalableTag<uint8_t> d;
  auto seen = hn::Zero(d);
  for (int64_t i = c; i < c + kChunk; i += static_cast<int64_t>(hn::Lanes(d))) {
    for (int r = 0; r < kTall; ++r) seen = hn::Or(seen, hn::LoadU(d, tile.rows[r].mask + i));
  }
  return hn::AllTrue(d, hn::Eq(seen, hn::Zero(d)));
}

template <int kWide, class W>
HWY_INLINE void dots(const DotsTile& tile, const W* /*like*/) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const bool masked = tile.rows[0].mask != nullptr;
  const W* weights[kTall];
  for (int r = 0; r < kTall; ++r) weights[r] = static_cast<const W*>(tile.rows[r].weights);
  V sums[kTall * kWide];
  for (auto& sum : sums) sum = hn::Zero(d);
  const int64_t whole = tile.width / lanes * lanes;
  for (int64_t begin = 0; begin < whole; begin += kChunk) {
    if (masked && begin + kChunk <= whole && keeps_none(tile, begin)) continue;
    for (int64_t c = begin; c < std::min(whole, begin + kChunk); c += lanes) {
      V x[kWide];
      for (int m = 0; m < kWide; ++m) x[m] = hn::LoadU(d, tile.x + m * tile.width + c);
      for (int r = 0; r < kTall; ++r) {
        V w = load_weight(d, weights[r] + c);
        if (masked) w = hn::IfThenElseZero(load_mask(d, tile.rows[r].mask + c), w);
        if (tile.keep != nullptr) w = hn::IfThenElseZero(load_mask(d, tile.keep + c), w);
        for (int m = 0; m < kWide; ++m) {
          sums[r * kWide + m] = hn::MulAdd(w, x[m], sums[r * kWide + m]);
        }
      }
    }
  }
  sum_each<kTall * kWide>(sums, tile.sums);
  for (int64_t c = whole; c < tile.width; ++c) {
    if (tile.keep != nullptr && tile.keep[c] == 0) continue;
    for (int r = 0; r < kTall; ++r) {
      if (masked && tile.rows[r].mask[c] == 0) continue;
      const float w = load_weight_scalar(weights[r] + c);
      for (int m = 0; m < kWide; ++m) {
        tile.sums[r * kWide + m] += w * tile.x[m * tile.width + c];
      }
    }
  }
}

void multiply_tile(const DotsTile& tile) {
  with_weight_type(tile.rows[0].weights, tile.dtype, [&](const auto* like) HWY_ATTR {
    switch (tile.samples) {
      case 1:
        return dots<1>(tile, like);
      case 2:
        return dots<2>(tile, like);
      case 3:
        return dots<3>(tile, like);
      default:
        return dots<4>(tile, like);
    }
  });
}

}  // namespace
}  // namespace espalier::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace espalier::cpu {

HWY_EXPORT(tile_rows);
HWY_EXPORT(multiply_tile);

int64_t dots_rows() { return HWY_DYNAMIC_DISPATCH(tile_rows)(); }

void masked_dots(const DotsTile& tile) { HWY_DYNAMIC_DISPATCH(multiply_tile)(tile); }

}  // namespace espalier::cpu
#endif
