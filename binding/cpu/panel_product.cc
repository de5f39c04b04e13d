// A tile of sums stays in registers: two vectors of samples by as many weight rows as leave room
// for the operands. Weights are broadcast, so their strips are plain rows.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "binding/cpu/panel_product.cc"
#include "hwy/foreach_target.h"  // keeps its place before highway.h
#include "hwy/highway.h"
//
#include <algorithm>
#include <array>
#include <utility>

#include "binding/cpu/panel_product.h"
#include "binding/cpu/transpose_lanes.h"

HWY_BEFORE_NAMESPACE();
namespace espalier::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

constexpr int kLanes = static_cast<int>(hn::MaxLanes(D()));
constexpr int kVectors = 2;
constexpr int kSamples = kVectors * kLanes;
#if HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM_A64
constexpr int kRows = 14;
#else
constexpr int kRows = 6;
#endif

PanelShape shape() { return {.lanes = kLanes, .samples = kSamples, .rows = kRows}; }

void transpose_samples(const float* x, int64_t stride, int64_t count, int64_t columns,
                       float* panel) {
  const D d;
  for (int first = 0; first < kSamples; first += kLanes) {
    float* target = panel + first;
    int64_t c = 0;
    if (first + kLanes <= count) {
      const float* source = x + first * stride;
      for (; c + kLanes <= columns; c += kLanes) {
        V v[kLanes];
        for (int i = 0; i < kLanes; ++i) v[i] = hn::LoadU(d, source + i * stride + c);
        transpose_lanes(v);
        for (int i = 0; i < kLanes; ++i) hn::StoreU(v[i], d, target + (c + i) * kSamples);
      }
    }
    for (; c < columns; ++c) {
      for (int64_t m = first; m < first + kLanes; ++m) {
        panel[c * kSamples + m] = m < count ? x[m * stride + c] : 0.0F;
      }
    }
  }
}

// body(0), body(1), … with constants, so that arrays of vectors indexed by them become registers.
template <int kCount, class Body>
HWY_INLINE void unrolled(Body&& body) {
  [&]<int... i>(std::integer_sequence<int, i...>) HWY_ATTR {
    (body(std::integral_constant<int, i>()), ...);
  }
  (std::make_integer_sequence<int, kCount>());
}

template <int kTall, int kWide>
HWY_INLINE void tile(const float* HWY_RESTRICT panel, const float* HWY_RESTRICT strip,
                     std::span<const ColumnRange> ranges, float* HWY_RESTRICT sums,
                     bool accumulate) {
  const D d;
  V sum[kTall * kWide];
  unrolled<kTall * kWide>([&](auto i) HWY_ATTR { sum[i] = hn::Zero(d); });
  for (const ColumnRange& range : ranges) {
    const float* HWY_RESTRICT x = panel + range.begin * kSamples;
    const float* HWY_RESTRICT w = strip + range.begin;
    const float* const end = strip + range.end;
    for (; w != end; ++w, x += kSamples) {
      V right[kWide];
      unrolled<kWide>([&](auto v) HWY_ATTR { right[v] = hn::LoadU(d, x + v * kLanes); });
      unrolled<kTall>([&](auto r) HWY_ATTR {
        const V left = hn::Set(d, w[r * kStripStride]);
        unrolled<kWide>([&](auto v) HWY_ATTR {
          sum[r * kWide + v] = hn::MulAdd(left, right[v], sum[r * kWide + v]);
        });
      });
    }
  }
  if (accumulate) {
    unrolled<kTall * kWide>([&](auto i) HWY_ATTR {
      float* target = sums + i / kWide * kSamples + i % kWide * kLanes;
      hn::StoreU(hn::Add(hn::LoadU(d, target), sum[i]), d, target);
    });
  } else {
    unrolled<kTall * kWide>([&](auto i) HWY_ATTR {
      hn::StoreU(sum[i], d, sums + i / kWide * kSamples + i % kWide * kLanes);
    });
  }
}

using Tile = void (*)(const float*, const float*, std::span<const ColumnRange>, float*, bool);

template <int kTall, int kWide>
HWY_NOINLINE void tile_of(const float* panel, const float* strip,
                          std::span<const ColumnRange> ranges, float* sums, bool accumulate) {
  tile<kTall, kWide>(panel, strip, ranges, sums, accumulate);
}

template <int kWide>
constexpr std::array<Tile, kRows> tiles() {
  return []<int... kTall>(std::integer_sequence<int, kTall...>) {
    return std::array<Tile, kRows>{tile_of<kTall + 1, kWide>...};
  }
  (std::make_integer_sequence<int, kRows>());
}

void multiply(const float* panel, int64_t count, const float* strip, int64_t rows,
              std::span<const ColumnRange> ranges, float* sums, bool accumulate) {
  static constexpr auto kNarrow = tiles<1>();
  static constexpr auto kFull = tiles<kVectors>();
  const auto& kind = count <= kLanes ? kNarrow : kFull;
  kind[static_cast<size_t>(rows - 1)](panel, strip, ranges, sums, accumulate);
}

void transpose_out(const float* sums, int64_t rows, int64_t count, const float* bias, float* target,
                   int64_t stride) {
  const D d;
  for (int64_t r = 0; r < rows; r += kLanes) {
    const V shift = hn::LoadU(d, bias + r);
    for (int64_t m = 0; m < count; m += kLanes) {
      V v[kLanes];
      for (int i = 0; i < kLanes; ++i) v[i] = hn::LoadU(d, sums + (r + i) * kSamples + m);
      transpose_lanes(v);
      const int64_t left = std::min<int64_t>(kLanes, count - m);
      if (left == kLanes) {
        for (int i = 0; i < kLanes; ++i) {
          hn::StoreU(hn::Add(v[i], shift), d, target + (m + i) * stride + r);
        }
      } else {
        for (int64_t i = 0; i < left; ++i) {
          hn::StoreU(hn::Add(v[i], shift), d, target + (m + i) * stride + r);
        }
      }
    }
  }
}

void spread(const float* source, const int32_t* places, const int32_t* bases, int64_t size,
            float* target) {
  const D d;
  const hn::RebindToSigned<D> di;
  const auto last = hn::Set(di, kLanes - 1);
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    const auto place = hn::LoadU(di, places + i);
    const auto given = hn::RebindMask(d, hn::Gt(place, hn::Set(di, -1)));
    const auto indices = hn::IndicesFromVec(d, hn::And(place, last));
    const V values = hn::LoadU(d, source + bases[i / kLanes]);
    hn::StoreU(hn::IfThenElseZero(given, hn::TableLookupLanes(values, indices)), d, target + i);
  }
  const float* rest = source + (i < size ? bases[i / kLanes] : 0);
  for (; i < size; ++i) target[i] = places[i] < 0 ? 0.0F : rest[places[i]];
}

}  // namespace
}  // namespace espalier::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace espalier::cpu {

HWY_EXPORT(shape);
HWY_EXPORT(transpose_samples);
HWY_EXPORT(multiply);
HWY_EXPORT(transpose_out);
HWY_EXPORT(spread);

PanelShape panel_shape() { return HWY_DYNAMIC_DISPATCH(shape)(); }

void transpose_panel(const float* x, int64_t stride, int64_t count, int64_t columns, float* panel) {
  HWY_DYNAMIC_DISPATCH(transpose_samples)(x, stride, count, columns, panel);
}

void multiply_panel(const float* panel, int64_t count, const float* strip, int64_t rows,
                    std::span<const ColumnRange> ranges, float* sums, bool accumulate) {
  HWY_DYNAMIC_DISPATCH(multiply)(panel, count, strip, rows, ranges, sums, accumulate);
}

void transpose_sums(const float* sums, int64_t rows, int64_t count, const float* bias,
                    float* target, int64_t stride) {
  HWY_DYNAMIC_DISPATCH(transpose_out)(sums, rows, count, bias, target, stride);
}

void spread_row(const float* source, const int32_t* places, const int32_t* bases, int64_t size,
                float* target) {
  HWY_DYNAMIC_DISPATCH(spread)(source, places, bases, size, target);
}

}  // namespace espalier::cpu
#endif
