// What attention and its gradient share: the sizes of a call, which keys a query sees, and products
// of small tiles. Include after highway.h, inside a dispatched target: the tile functions live in
// that target's namespace.
//
// The vector lanes are queries: the query heads that share a key head and their positions form the
// rows of one problem per (batch, key head), row r = (position r / G, head r % G) with G = H / Hkv.
#ifndef ESPALIER_CPU_ATTENTION_TILES_ONCE
#define ESPALIER_CPU_ATTENTION_TILES_ONCE

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "binding/core/tensor.h"

namespace espalier::cpu {

/// Keys per block.
constexpr int64_t kKeys = 64;
/// Most rows per block on any target.
constexpr int64_t kMaxRows = 64;

/// Keys [first, end) that a query sees.
struct Range {
  int64_t first, end;
};

/// The sizes of one call, and what a query sees.
struct AttentionProblem {
  int64_t batches, queries, keys, heads, key_heads, columns, group, rows;
  bool causal;
  int64_t window;
  const uint8_t* key_mask;

  /// Of any attention arguments with q, k, key_mask, causal and window; q is not empty.
  template <class Arguments>
  explicit AttentionProblem(const Arguments& a)
      : batches(a.q.shape[0]),
        queries(a.q.shape[1]),
        keys(a.k.shape[1]),
        heads(a.q.shape[2]),
        key_heads(a.k.shape[2]),
        columns(a.q.shape[3]),
        group(heads / key_heads),
        rows(queries * group),
        causal(a.causal),
        window(a.window),
        key_mask(a.key_mask.template as<uint8_t>()) {}

  /// Offset of a row's D numbers in q and what is shaped like it; divided by D, its index in [B, T,
  /// H].
  [[nodiscard]] int64_t offset_of(int64_t batch, int64_t key_head, int64_t row) const {
    const int64_t query = batch * queries + row / group;
    return (query * heads + key_head * group + row % group) * columns;
  }
  /// Offset of the first key of a problem in k and v; the next key is `key_stride()` further.
  [[nodiscard]] int64_t key_offset(int64_t batch, int64_t key_head) const {
    return (batch * keys * key_heads + key_head) * columns;
  }
  /// See key_offset.
  [[nodiscard]] int64_t key_stride() const { return key_heads * columns; }
  /// The mask of a batch, or null when all keys are real.
  [[nodiscard]] const uint8_t* mask_of(int64_t batch) const {
    return key_mask == nullptr ? nullptr : key_mask + batch * keys;
  }
  /// From the first real key of a batch to the last one: padding at the ends costs nothing.
  [[nodiscard]] Range real_keys(int64_t batch) const {
    const uint8_t* mask = mask_of(batch);
    Range real{0, keys};
    if (mask == nullptr) return real;
    while (real.end > 0 && mask[real.end - 1] == 0) --real.end;
    while (real.first < real.end && mask[real.first] == 0) ++real.first;
    return real;
  }
  /// What a query sees of the real keys; masked ones may be among them.
  [[nodiscard]] Range visible_keys(Range real, int64_t query) const {
    const int64_t last = query + keys - queries;
    const int64_t end = causal ? std::clamp(last + 1, real.first, real.end) : real.end;
    const int64_t first = window == 0 || window > last ? 0 : last - window + 1;
    return {std::clamp(first, real.first, end), end};
  }
};

}  // namespace espalier::cpu
#endif

#if defined(ESPALIER_ATTENTION_TILES_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ESPALIER_ATTENTION_TILES_H_
#undef ESPALIER_ATTENTION_TILES_H_
#else
#define ESPALIER_ATTENTION_TILES_H_
#endif

#include "binding/cpu/transpose_lanes.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace espalier::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// The vectors of these tiles.
using D = hn::ScalableTag<float>;
/// See D.
using V = hn::Vec<D>;
/// See D.
using DI = hn::RebindToSigned<D>;

/// Numbers per vector.
constexpr int64_t kLanes = hn::MaxLanes(D());
/// AVX-512 and Arm have 32 registers, others 16.
constexpr bool kManyRegisters = HWY_MAX_BYTES >= 64 || HWY_ARCH_ARM_A64;
/// Registers that hold sums: 16 of 32, or 8 of 16.
constexpr int64_t kAccumulators = kManyRegisters ? 16 : 8;
/// Most vectors side by side.
constexpr int64_t kMaxVectors = kManyRegisters ? 4 : 2;
static_assert(kMaxVectors * kLanes <= kMaxRows);

/// 2^x for x <= 126 (x <= 0 but for rounding here) within 2 ulp; 0 below 2^-126, NaN for NaN. The
/// polynomial is the minimax one for the relative error (7.5e-8) on [-1/2, 1/2].
HWY_INLINE V power_of_two(V x) {
  const D d;
  const DI di;
  // Adding 1.5·2^23 leaves the nearest integer in the low bits.
  const V magic = hn::Set(d, 0x1.8p23F);
  const V shifted = hn::Add(x, magic);
  const V f = hn::Sub(x, hn::Sub(shifted, magic));
  V p = hn::Set(d, 0.0013276472F);
  p = hn::MulAdd(p, f, hn::Set(d, 0.0096755413F));
  p = hn::MulAdd(p, f, hn::Set(d, 0.055507133F));
  p = hn::MulAdd(p, f, hn::Set(d, 0.2402212F));
  p = hn::MulAdd(p, f, hn::Set(d, 0.69314697F));
  p = hn::MulAdd(p, f, hn::Set(d, 1.0F));
  const auto exponent = hn::ShiftLeft<23>(hn::BitCast(di, shifted));
  const V result = hn::BitCast(d, hn::Add(hn::BitCast(di, p), exponent));
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, -126.0F)), result);
}

/// Copies rows of D numbers that are `stride` apart together, because rows a power of two apart
/// fall into the same cache sets. Masked ones become zeros, so that nothing of theirs gets
/// anywhere.
HWY_INLINE void copy_keys(const float* HWY_RESTRICT source, int64_t stride, const uint8_t* mask,
                          int64_t count, int64_t columns, float* HWY_RESTRICT target) {
  const D d;
  for (int64_t j = 0; j < count; ++j, source += stride, target += columns) {
    if (mask != nullptr && mask[j] == 0) {
      std::fill_n(target, columns, 0.0F);
      continue;
    }
    int64_t c = 0;
    for (; c + kLanes <= columns; c += kLanes) hn::StoreU(hn::LoadU(d, source + c), d, target + c);
    for (; c < columns; ++c) target[c] = source[c];
  }
}

/// target[c][i] = rows[i][c] · factor for kLanes rows; the lines of target are `stride` apart.
HWY_INLINE void lanes_of_rows(const float* const* rows, int64_t columns, float factor,
                              float* HWY_RESTRICT target, int64_t stride) {
  const D d;
  const V factors = hn::Set(d, factor);
  int64_t c = 0;
  for (; c + kLanes <= columns; c += kLanes) {
    V v[kLanes];
    for (int64_t i = 0; i < kLanes; ++i) v[i] = hn::Mul(hn::LoadU(d, rows[i] + c), factors);
    transpose_lanes(v);
    for (int64_t i = 0; i < kLanes; ++i) hn::Store(v[i], d, target + (c + i) * stride);
  }
  for (; c < columns; ++c) {
    for (int64_t i = 0; i < kLanes; ++i) target[c * stride + i] = rows[i][c] * factor;
  }
}

/// rows[i][c] = source[c][i] · factors[i] for the first `count` of kLanes rows; the lines of source
/// are `stride` apart.
HWY_INLINE void rows_of_lanes(const float* HWY_RESTRICT source, int64_t stride, int64_t columns,
                              V factors, float* const* rows, int64_t count) {
  const D d;
  int64_t c = 0;
  for (; c + kLanes <= columns; c += kLanes) {
    V v[kLanes];
    for (int64_t i = 0; i < kLanes; ++i) {
      v[i] = hn::Mul(hn::Load(d, source + (c + i) * stride), factors);
    }
    transpose_lanes(v);
    for (int64_t i = 0; i < count; ++i) hn::StoreU(v[i], d, rows[i] + c);
  }
  for (; c < columns; ++c) {
    HWY_ALIGN float line[kLanes];
    hn::Store(hn::Mul(hn::Load(d, source + c * stride), factors), d, line);
    for (int64_t i = 0; i < count; ++i) rows[i][c] = line[i];
  }
}

/// A constant stride of a tile.
template <int64_t Value>
using Stride = std::integral_constant<int64_t, Value>;

/// out[n][·] (+)= Σ_t vectors[t][·] scalars[n, t] for N lines of NV vectors and t in [0, count);
/// `add` keeps what is there. Element (n, t) of the scalars stands at n · n_stride + t · t_stride.
template <int64_t N, int64_t NV, bool Add, class NStride, class TStride>
HWY_INLINE void product_tile(const float* HWY_RESTRICT vectors, int64_t vector_stride,
                             const float* HWY_RESTRICT scalars, NStride n_stride, TStride t_stride,
                             int64_t count, float* HWY_RESTRICT out, int64_t out_stride) {
  const D d;
  V sum[N][NV];
  for (int64_t n = 0; n < N; ++n) {
    for (int64_t v = 0; v < NV; ++v) {
      sum[n][v] = Add ? hn::Load(d, out + n * out_stride + v * kLanes) : hn::Zero(d);
    }
  }
  for (int64_t t = 0; t < count; ++t) {
    V line[NV];
    for (int64_t v = 0; v < NV; ++v)
      line[v] = hn::Load(d, vectors + t * vector_stride + v * kLanes);
    for (int64_t n = 0; n < N; ++n) {
      const V scalar = hn::Set(d, scalars[n * n_stride + t * t_stride]);
      for (int64_t v = 0; v < NV; ++v) sum[n][v] = hn::MulAdd(line[v], scalar, sum[n][v]);
    }
  }
  for (int64_t n = 0; n < N; ++n) {
    for (int64_t v = 0; v < NV; ++v) hn::Store(sum[n][v], d, out + n * out_stride + v * kLanes);
  }
}

/// Calls body(std::integral_constant N, start) for steps of N = kAccumulators / NV, then of 1.
template <int64_t NV, class Body>
HWY_INLINE void in_tiles(int64_t count, Body&& body) {
  constexpr int64_t kStep = kAccumulators / NV;
  int64_t i = 0;
  for (; i + kStep <= count; i += kStep) body(std::integral_constant<int64_t, kStep>(), i);
  for (; i < count; ++i) body(std::integral_constant<int64_t, 1>(), i);
}

/// s[j][r] = Σ_c q[c][r] k[j][c] for all keys of a block and NV vectors of rows: q [columns][rows],
/// k [keys][columns]; the lines of q and s are `stride` apart.
template <int64_t NV>
HWY_INLINE void score_keys(const float* q, const float* k, int64_t keys, int64_t columns, float* s,
                           int64_t stride = NV * kLanes) {
  in_tiles<NV>(keys, [&](auto n, int64_t j) {
    product_tile<n(), NV, false>(q, stride, k + j * columns, columns, Stride<1>(), columns,
                                 s + j * stride, stride);
  });
}

}  // namespace espalier::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
