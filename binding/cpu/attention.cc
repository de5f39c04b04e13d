// Softmax attention, one block of queries against one block of keys at a time (online softmax):
// with scores s_j = scale q·k_j, running maximum m, sum l and numerator o,
//   m' = max(m, max_j s_j),  l' = l e^(m-m') + Σ_j e^(s_j-m'),  o' = o e^(m-m') + Σ_j e^(s_j-m')
//   v_j,
// and output = o / l at the end. Everything is f32; scores carry a factor log2(e), so exponentials
// are powers of two.
// q, output: [B, T, H, D]; k, v: [B, S, Hkv, D].
//
// The vector lanes are queries: the query heads that share a key head and their positions form the
// rows of one problem per (batch, key head), row r = (position r / G, head r % G) with G = H / Hkv.
// A block of rows stands transposed in scratch, [D][rows], and so do scores, [keys][rows], and
// numerators, [D][rows]. Then both products broadcast an element of a key or value against vectors
// of rows, maxima and sums run down the keys without crossing lanes, and any D and any number of
// keys fits. Blocks of rows are independent, so threads do not change the bits.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "binding/cpu/attention.cc"
#include "hwy/foreach_target.h"  // keeps its place before highway.h
#include "hwy/highway.h"
//
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/scratch.h"

#ifndef ESPALIER_CPU_ATTENTION_ONCE
#define ESPALIER_CPU_ATTENTION_ONCE
namespace espalier::cpu {
namespace {

// Keys per block.
constexpr int64_t kKeys = 64;
// Most rows per block on any target.
constexpr int64_t kMaxRows = 64;

// The sizes of one call.
struct Extent {
  int64_t batches, queries, keys, heads, key_heads, columns, group, rows;

  explicit Extent(const AttentionArguments& a)
      : batches(a.q.shape[0]),
        queries(a.q.shape[1]),
        keys(a.k.shape[1]),
        heads(a.q.shape[2]),
        key_heads(a.k.shape[2]),
        columns(a.q.shape[3]),
        group(heads / key_heads),
        rows(queries * group) {}

  // Floats of scratch that a thread needs: rows transposed, numerators, scores, keys, values.
  [[nodiscard]] int64_t scratch() const {
    return 2 * columns * kMaxRows + kKeys * kMaxRows + 2 * kKeys * columns;
  }
};

// Keys [first, end) that a query sees.
struct Range {
  int64_t first, end;
};

inline Range visible_keys(const AttentionArguments& a, const Extent& e, int64_t query) {
  const int64_t last = query + e.keys - e.queries;
  const int64_t end = a.causal ? std::clamp<int64_t>(last + 1, 0, e.keys) : e.keys;
  const int64_t first = a.window > last ? 0 : last - a.window + 1;
  return {a.window > 0 ? std::min(first, end) : 0, end};
}

}  // namespace
}  // namespace espalier::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace espalier::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
using DI = hn::RebindToSigned<D>;

constexpr int64_t kLanes = hn::MaxLanes(D());
// 16 accumulators of the 32 registers that AVX-512 and Arm have, or 8 of 16.
constexpr bool kManyRegisters = HWY_MAX_BYTES >= 64 || HWY_ARCH_ARM_A64;
constexpr int64_t kAccumulators = kManyRegisters ? 16 : 8;
constexpr int64_t kMaxVectors = kManyRegisters ? 4 : 2;
static_assert(kMaxVectors * kLanes <= kMaxRows);

// 2^x for x <= 0 within 2 ulp; 0 below 2^-126, NaN for NaN. The polynomial is the minimax one for
// the relative error (7.5e-8) on [-1/2, 1/2].
HWY_INLINE V exp2_not_positive(V x) {
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

// A block of NV vectors of rows and what is known about it.
template <int64_t NV>
struct Block {
  static constexpr int64_t kRows = NV * kLanes;

  // Transposed queries and numerators [D][kRows], scores and then probabilities [kKeys][kRows], and
  // the keys and values of the current block [kKeys][D].
  float *q, *o, *s, *k, *v;
  HWY_ALIGN float maximum[kRows];
  HWY_ALIGN float sum[kRows];
  HWY_ALIGN float decay[kRows];
  HWY_ALIGN int32_t first[kRows];
  HWY_ALIGN int32_t end[kRows];
};

// s[j][r] = Σ_c q[c][r] k[j][c] for N keys.
template <int64_t N, int64_t NV>
HWY_INLINE void score_keys(const float* HWY_RESTRICT q, const float* HWY_RESTRICT k,
                           int64_t columns, float* HWY_RESTRICT s) {
  const D d;
  V sum[N][NV];
  for (auto& line : sum) {
    for (auto& entry : line) entry = hn::Zero(d);
  }
  for (int64_t c = 0; c < columns; ++c) {
    V query[NV];
    for (int64_t v = 0; v < NV; ++v) query[v] = hn::Load(d, q + (c * NV + v) * kLanes);
    for (int64_t n = 0; n < N; ++n) {
      const V key = hn::Set(d, k[n * columns + c]);
      for (int64_t v = 0; v < NV; ++v) sum[n][v] = hn::MulAdd(query[v], key, sum[n][v]);
    }
  }
  for (int64_t n = 0; n < N; ++n) {
    for (int64_t v = 0; v < NV; ++v) hn::Store(sum[n][v], d, s + (n * NV + v) * kLanes);
  }
}

// o[c][r] = decay[r] o[c][r] + Σ_j p[j][r] v[j][c] for N columns c. With Exclude, terms with p = 0
// are left out, so that a value which is not finite stays away from rows that do not see it.
template <int64_t N, int64_t NV, bool Exclude>
HWY_INLINE void add_values(const float* HWY_RESTRICT p, const float* HWY_RESTRICT values,
                           int64_t keys, int64_t columns, const float* HWY_RESTRICT decay,
                           float* HWY_RESTRICT o) {
  const D d;
  V sum[N][NV];
  for (int64_t n = 0; n < N; ++n) {
    for (int64_t v = 0; v < NV; ++v) {
      sum[n][v] = hn::Mul(hn::Load(d, o + (n * NV + v) * kLanes), hn::Load(d, decay + v * kLanes));
    }
  }
  for (int64_t j = 0; j < keys; ++j) {
    V weight[NV];
    for (int64_t v = 0; v < NV; ++v) weight[v] = hn::Load(d, p + (j * NV + v) * kLanes);
    for (int64_t n = 0; n < N; ++n) {
      const V value = hn::Set(d, values[j * columns + n]);
      for (int64_t v = 0; v < NV; ++v) {
        const V seen = Exclude ? hn::IfThenElseZero(hn::Ne(weight[v], hn::Zero(d)), value) : value;
        sum[n][v] = hn::MulAdd(weight[v], seen, sum[n][v]);
      }
    }
  }
  for (int64_t n = 0; n < N; ++n) {
    for (int64_t v = 0; v < NV; ++v) hn::Store(sum[n][v], d, o + (n * NV + v) * kLanes);
  }
}

// Calls body(std::integral_constant N, start) for steps of N = kAccumulators / NV, then of 1.
template <int64_t NV, class Body>
HWY_INLINE void in_tiles(int64_t count, Body&& body) {
  constexpr int64_t kStep = kAccumulators / NV;
  int64_t i = 0;
  for (; i + kStep <= count; i += kStep) body(std::integral_constant<int64_t, kStep>(), i);
  for (; i < count; ++i) body(std::integral_constant<int64_t, 1>(), i);
}

// Scores of keys [start, start + keys) become probabilities relative to the new maximum; maximum,
// sum and decay move on.
template <int64_t NV>
HWY_INLINE void soften(Block<NV>& block, int64_t start, int64_t keys) {
  const D d;
  const DI di;
  const V lowest = hn::Set(d, -std::numeric_limits<float>::infinity());
  for (int64_t v = 0; v < NV; ++v) {
    const int64_t lane = v * kLanes;
    const auto first = hn::Load(di, block.first + lane);
    const auto end = hn::Load(di, block.end + lane);
    // Rows are in order of position, so the outer lanes bound what some and what all of them see.
    const int64_t last = lane + kLanes - 1;
    const int64_t some_first = std::clamp<int64_t>(block.first[lane] - start, 0, keys);
    const int64_t some_end = std::clamp<int64_t>(block.end[last] - start, some_first, keys);
    const int64_t all_first = block.first[last] - start;
    const int64_t all_end = block.end[lane] - start;
    float* s = block.s + lane;
    const V before = hn::Load(d, block.maximum + lane);
    V maximum = before;
    for (int64_t j = some_first; j < some_end; ++j) {
      V score = hn::Load(d, s + j * NV * kLanes);
      if (j < all_first || j >= all_end) {
        const auto key = hn::Set(di, static_cast<int32_t>(start + j));
        const auto seen = hn::AndNot(hn::Lt(key, first), hn::Lt(key, end));
        score = hn::IfThenElse(hn::RebindMask(d, seen), score, lowest);
        hn::Store(score, d, s + j * NV * kLanes);
      }
      maximum = hn::Max(maximum, score);
    }
    // -infinity minus itself would be NaN while nothing has been seen.
    const V base = hn::IfThenZeroElse(hn::Eq(maximum, lowest), maximum);
    for (int64_t j = 0; j < some_first; ++j) hn::Store(hn::Zero(d), d, s + j * NV * kLanes);
    for (int64_t j = some_end; j < keys; ++j) hn::Store(hn::Zero(d), d, s + j * NV * kLanes);
    V sum = hn::Zero(d);
    for (int64_t j = some_first; j < some_end; ++j) {
      const V weight = exp2_not_positive(hn::Sub(hn::Load(d, s + j * NV * kLanes), base));
      hn::Store(weight, d, s + j * NV * kLanes);
      sum = hn::Add(sum, weight);
    }
    const V decay = exp2_not_positive(hn::Sub(before, base));
    hn::Store(maximum, d, block.maximum + lane);
    hn::Store(decay, d, block.decay + lane);
    hn::Store(hn::MulAdd(hn::Load(d, block.sum + lane), decay, sum), d, block.sum + lane);
  }
}

// True when no element is NaN or infinite.
HWY_INLINE bool all_finite(const float* x, int64_t count) {
  const D d;
  // x - x is 0 for finite x and NaN otherwise.
  V sum = hn::Zero(d);
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const V value = hn::LoadU(d, x + i);
    sum = hn::Add(sum, hn::Sub(value, value));
  }
  float rest = hn::GetLane(hn::SumOfLanes(d, sum));
  for (; i < count; ++i) rest += x[i] - x[i];
  return rest == 0;
}

// Rows [row, row + count) of one (batch, key head).
template <int64_t NV>
void attend(const AttentionArguments& a, const Extent& e, int64_t batch, int64_t key_head,
            int64_t row, int64_t count, float* scratch) {
  constexpr int64_t kRows = Block<NV>::kRows;
  Block<NV> block;
  block.q = scratch;
  block.o = block.q + e.columns * kMaxRows;
  block.s = block.o + e.columns * kMaxRows;
  block.k = block.s + kKeys * kMaxRows;
  block.v = block.k + kKeys * e.columns;

  const auto offset_of = [&](int64_t r) {
    const int64_t query = batch * e.queries + r / e.group;
    return (query * e.heads + key_head * e.group + r % e.group) * e.columns;
  };
  const float factor = a.scale * 1.44269504F;  // log2(e)
  std::fill_n(block.o, e.columns * kRows, 0.0F);
  for (int64_t r = 0; r < kRows; ++r) {
    // Rows that do not exist repeat the last one; they are not written back.
    const int64_t source = row + std::min(r, count - 1);
    const float* q = a.q.as<float>() + offset_of(source);
    for (int64_t c = 0; c < e.columns; ++c) block.q[c * kRows + r] = q[c] * factor;
    const Range range = visible_keys(a, e, source / e.group);
    block.first[r] = static_cast<int32_t>(range.first);
    block.end[r] = static_cast<int32_t>(range.end);
    block.maximum[r] = -std::numeric_limits<float>::infinity();
    block.sum[r] = 0;
  }

  const int64_t stride = e.key_heads * e.columns;
  const int64_t base = batch * e.keys * stride + key_head * e.columns;
  for (int64_t start = block.first[0]; start < block.end[kRows - 1]; start += kKeys) {
    const int64_t keys = std::min<int64_t>(kKeys, block.end[kRows - 1] - start);
    // Copied together, because rows a power of two apart fall into the same cache sets.
    for (int64_t j = 0; j < keys; ++j) {
      const int64_t source = base + (start + j) * stride;
      const size_t bytes = static_cast<size_t>(e.columns) * sizeof(float);
      std::memcpy(block.k + j * e.columns, a.k.as<float>() + source, bytes);
      std::memcpy(block.v + j * e.columns, a.v.as<float>() + source, bytes);
    }
    in_tiles<NV>(keys, [&](auto n, int64_t j) {
      score_keys<n(), NV>(block.q, block.k + j * e.columns, e.columns, block.s + j * kRows);
    });
    soften(block, start, keys);
    const bool all_seen = block.first[kRows - 1] <= start && block.end[0] >= start + keys;
    if (all_seen || all_finite(block.v, keys * e.columns)) {
      in_tiles<NV>(e.columns, [&](auto n, int64_t c) {
        add_values<n(), NV, false>(block.s, block.v + c, keys, e.columns, block.decay,
                                   block.o + c * kRows);
      });
    } else {
      in_tiles<NV>(e.columns, [&](auto n, int64_t c) {
        add_values<n(), NV, true>(block.s, block.v + c, keys, e.columns, block.decay,
                                  block.o + c * kRows);
      });
    }
  }

  for (int64_t r = 0; r < count; ++r) {
    const float inverse = block.sum[r] == 0 ? 0 : 1 / block.sum[r];
    float* output = a.output.as<float>() + offset_of(row + r);
    for (int64_t c = 0; c < e.columns; ++c) output[c] = block.o[c * kRows + r] * inverse;
  }
}

void attention(const AttentionArguments& a, const Extent& e, float* scratch) {
  constexpr int64_t kRows = kMaxVectors * kLanes;
  const int64_t blocks = (e.rows + kRows - 1) / kRows;
  const int64_t items = e.batches * e.key_heads * blocks;
  // Round robin, because later blocks of a causal problem see more keys.
#pragma omp parallel for schedule(static, 1)
  for (int64_t item = 0; item < items; ++item) {
    const int64_t row = item % blocks * kRows;
    const int64_t key_head = item / blocks % e.key_heads;
    const int64_t batch = item / blocks / e.key_heads;
    const int64_t count = std::min(kRows, e.rows - row);
    float* own = scratch + omp_get_thread_num() * e.scratch();
    if (count <= kLanes) {
      attend<1>(a, e, batch, key_head, row, count, own);
    } else if (count <= 2 * kLanes) {
      attend<2>(a, e, batch, key_head, row, count, own);
    } else {
      attend<kMaxVectors>(a, e, batch, key_head, row, count, own);
    }
  }
}

}  // namespace
}  // namespace espalier::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace espalier::cpu {

HWY_EXPORT(attention);

Status CpuBackend::attention(const AttentionArguments& arguments) {
  if (arguments.output.shape.elements() == 0) return {};
  const Extent extent(arguments);
  const Scratch<float> scratch(static_cast<size_t>(omp_get_max_threads() * extent.scratch()));
  if (scratch.data() == nullptr) return out_of_scratch();
  HWY_DYNAMIC_DISPATCH(attention)(arguments, extent, scratch.data());
  return {};
}

}  // namespace espalier::cpu
#endif
