// Softmax attention, one block of queries against one block of keys at a time (online softmax):
// with scores s_j = scale q·k_j, running maximum m, sum l and numerator o,
//   m' = max(m, max_j s_j),  l' = l e^(m-m') + Σ_j e^(s_j-m'),  o' = o e^(m-m') + Σ_j e^(s_j-m')
//   v_j,
// and output = o / l at the end, with the binary logarithm of Σ_j 2^s_j when the gradient needs it.
// Everything is f32, also where bf16 products would do; scores carry a factor log2(e), so
// exponentials are powers of two. q, output: [B, T, H, D]; k, v: [B, S, Hkv, D].
//
// The vector lanes are queries (attention_tiles.h).
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
#include <limits>
#include <type_traits>
#include <utility>

#include "binding/cpu/attention_tiles.h"
#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/scratch.h"

#ifndef ESPALIER_CPU_ATTENTION_ONCE
#define ESPALIER_CPU_ATTENTION_ONCE
namespace espalier::cpu {
namespace {

// Floats of scratch that a thread needs: rows transposed, numerators, scores, keys, values.
inline int64_t scratch_of(const AttentionProblem& p) {
  return 2 * p.columns * kMaxRows + kKeys * kMaxRows + 2 * kKeys * p.columns;
}

}  // namespace
}  // namespace espalier::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace espalier::cpu::HWY_NAMESPACE {
namespace {

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

// Calls body(v, begin, end) for ranges of the block's `keys` keys from `start` on that vectors of
// rows from v on see something of, and those before it nothing.
template <int64_t NV, class Body>
HWY_INLINE void for_seen(const Block<NV>& block, int64_t start, int64_t keys, Body&& body) {
  int64_t begin = 0;
  const auto range = [&](auto v) {
    // Rows are in order of position, so the last one of a vector sees furthest.
    const int64_t last = block.end[(v() + 1) * kLanes - 1] - start;
    const int64_t end = std::clamp(last, begin, keys);
    if (begin < end) body(v, begin, end);
    begin = end;
  };
  [&]<int64_t... v>(std::integer_sequence<int64_t, v...>) {
    (range(std::integral_constant<int64_t, v>()), ...);
  }
  (std::make_integer_sequence<int64_t, NV>());
}

// o[c][r] = decay[r] o[c][r] + Σ_j p[j][r] v[j][c] for N columns c and NV vectors of rows; without
// `decay`, o is only added to. The lines of p and o are `stride` apart. With Exclude, terms with
// p = 0 are left out, so that a value which is not finite stays away from rows that do not see it.
template <int64_t N, int64_t NV, bool Exclude>
HWY_INLINE void add_values(const float* HWY_RESTRICT p, const float* HWY_RESTRICT values,
                           int64_t keys, int64_t columns, const float* HWY_RESTRICT decay,
                           float* HWY_RESTRICT o, int64_t stride) {
  const D d;
  V sum[N][NV];
  for (int64_t n = 0; n < N; ++n) {
    for (int64_t v = 0; v < NV; ++v) {
      sum[n][v] = hn::Load(d, o + n * stride + v * kLanes);
      if (decay != nullptr) sum[n][v] = hn::Mul(sum[n][v], hn::Load(d, decay + v * kLanes));
    }
  }
  for (int64_t j = 0; j < keys; ++j) {
    V weight[NV];
    for (int64_t v = 0; v < NV; ++v) weight[v] = hn::Load(d, p + j * stride + v * kLanes);
    for (int64_t n = 0; n < N; ++n) {
      const V value = hn::Set(d, values[j * columns + n]);
      for (int64_t v = 0; v < NV; ++v) {
        const V seen = Exclude ? hn::IfThenElseZero(hn::Ne(weight[v], hn::Zero(d)), value) : value;
        sum[n][v] = hn::MulAdd(weight[v], seen, sum[n][v]);
      }
    }
  }
  for (int64_t n = 0; n < N; ++n) {
    for (int64_t v = 0; v < NV; ++v) hn::Store(sum[n][v], d, o + n * stride + v * kLanes);
  }
}

// Scores of keys [start, start + keys) become probabilities relative to the new maximum, as far as
// a vector of rows sees something; maximum, sum and decay move on. mask: of these keys, or null.
template <int64_t NV>
HWY_INLINE void soften(Block<NV>& block, int64_t start, int64_t keys, const uint8_t* mask) {
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
    const auto masked = [&](int64_t j) { return mask != nullptr && mask[j] == 0; };
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
      if (masked(j)) {
        score = lowest;
        hn::Store(score, d, s + j * NV * kLanes);
      }
      maximum = hn::Max(maximum, score);
    }
    // -infinity minus itself would be NaN while nothing has been seen.
    const V base = hn::IfThenZeroElse(hn::Eq(maximum, lowest), maximum);
    for (int64_t j = 0; j < some_first; ++j) hn::Store(hn::Zero(d), d, s + j * NV * kLanes);
    V sum = hn::Zero(d);
    for (int64_t j = some_first; j < some_end; ++j) {
      const V weight = power_of_two(hn::Sub(hn::Load(d, s + j * NV * kLanes), base));
      hn::Store(weight, d, s + j * NV * kLanes);
      sum = hn::Add(sum, weight);
    }
    const V decay = power_of_two(hn::Sub(before, base));
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
void attend(const AttentionArguments& a, const AttentionProblem& p, int64_t batch, int64_t key_head,
            int64_t row, int64_t count, float* scratch) {
  constexpr int64_t kRows = Block<NV>::kRows;
  Block<NV> block;
  block.q = scratch;
  block.o = block.q + p.columns * kMaxRows;
  block.s = block.o + p.columns * kMaxRows;
  block.k = block.s + kKeys * kMaxRows;
  block.v = block.k + kKeys * p.columns;

  const Range real = p.real_keys(batch);
  const float factor = a.scale * 1.44269504F;  // log2(e)
  std::fill_n(block.o, p.columns * kRows, 0.0F);
  const float* queries[kRows];
  for (int64_t r = 0; r < kRows; ++r) {
    // Rows that do not exist repeat the last one; they are not written back.
    const int64_t source = row + std::min(r, count - 1);
    queries[r] = a.q.as<float>() + p.offset_of(batch, key_head, source);
    const Range range = p.visible_keys(real, source / p.group);
    block.first[r] = static_cast<int32_t>(range.first);
    block.end[r] = static_cast<int32_t>(range.end);
    block.maximum[r] = -std::numeric_limits<float>::infinity();
    block.sum[r] = 0;
  }
  for (int64_t lane = 0; lane < kRows; lane += kLanes) {
    lanes_of_rows(queries + lane, p.columns, factor, block.q + lane, kRows);
  }

  for (int64_t start = block.first[0]; start < block.end[kRows - 1]; start += kKeys) {
    const int64_t keys = std::min<int64_t>(kKeys, block.end[kRows - 1] - start);
    const int64_t source = p.key_offset(batch, key_head) + start * p.key_stride();
    const uint8_t* mask = p.key_mask == nullptr ? nullptr : p.mask_of(batch) + start;
    copy_keys(a.k.as<float>() + source, p.key_stride(), mask, keys, p.columns, block.k);
    copy_keys(a.v.as<float>() + source, p.key_stride(), mask, keys, p.columns, block.v);
    for_seen(block, start, keys, [&](auto v, int64_t begin, int64_t end) {
      score_keys<NV - v()>(block.q + v * kLanes, block.k + begin * p.columns, end - begin,
                           p.columns, block.s + begin * kRows + v * kLanes, kRows);
    });
    soften(block, start, keys, mask);
    const bool all_seen = block.first[kRows - 1] <= start && block.end[0] >= start + keys;
    const bool exclude = !all_seen && !all_finite(block.v, keys * p.columns);
    // A vector of rows that has seen nothing of these keys has a decay of 1.
    const float* decay = block.decay;
    for_seen(block, start, keys, [&](auto v, int64_t begin, int64_t end) {
      constexpr int64_t kSeeing = NV - v();
      in_tiles<kSeeing>(p.columns, [&](auto n, int64_t c) {
        const auto add = exclude ? add_values<n(), kSeeing, true> : add_values<n(), kSeeing, false>;
        add(block.s + begin * kRows + v * kLanes, block.v + begin * p.columns + c, end - begin,
            p.columns, decay == nullptr ? nullptr : decay + v * kLanes,
            block.o + c * kRows + v * kLanes, kRows);
      });
      decay = nullptr;
    });
  }

  auto* log_sum_exp = a.log_sum_exp.as<float>();
  const D d;
  float* outputs[kRows];
  for (int64_t r = 0; r < count; ++r) {
    const int64_t offset = p.offset_of(batch, key_head, row + r);
    outputs[r] = a.output.as<float>() + offset;
    if (log_sum_exp != nullptr) {
      log_sum_exp[offset / p.columns] = block.maximum[r] + std::log2(block.sum[r]);
    }
  }
  for (int64_t lane = 0; lane < count; lane += kLanes) {
    const V sum = hn::Load(d, block.sum + lane);
    const V inverse = hn::IfThenZeroElse(hn::Eq(sum, hn::Zero(d)), hn::Div(hn::Set(d, 1.0F), sum));
    rows_of_lanes(block.o + lane, kRows, p.columns, inverse, outputs + lane,
                  std::min(kLanes, count - lane));
  }
}

void attention(const AttentionArguments& a, const AttentionProblem& p, float* scratch) {
  constexpr int64_t kRows = kMaxVectors * kLanes;
  const int64_t blocks = (p.rows + kRows - 1) / kRows;
  const int64_t items = p.batches * p.key_heads * blocks;
  // One by one, because later blocks of a causal problem see more keys.
#pragma omp parallel for schedule(dynamic, 1)
  for (int64_t item = 0; item < items; ++item) {
    const int64_t row = item % blocks * kRows;
    const int64_t key_head = item / blocks % p.key_heads;
    const int64_t batch = item / blocks / p.key_heads;
    const int64_t count = std::min(kRows, p.rows - row);
    float* own = scratch + omp_get_thread_num() * scratch_of(p);
    if (count <= kLanes) {
      attend<1>(a, p, batch, key_head, row, count, own);
    } else if (count <= 2 * kLanes) {
      attend<2>(a, p, batch, key_head, row, count, own);
    } else {
      attend<kMaxVectors>(a, p, batch, key_head, row, count, own);
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
  if (arguments.output.shape.elements() == 0) {
    // Without columns every score is 0 and nobody reads its logarithm.
    return arguments.log_sum_exp.data == nullptr ? Status() : clear(arguments.log_sum_exp);
  }
  const AttentionProblem problem(arguments);
  const Scratch<float> scratch(static_cast<size_t>(omp_get_max_threads() * scratch_of(problem)));
  if (scratch.data() == nullptr) return out_of_scratch();
  HWY_DYNAMIC_DISPATCH(attention)(arguments, problem, scratch.data());
  return {};
}

}  // namespace espalier::cpu
#endif
