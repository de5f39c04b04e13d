// Gradients of softmax attention, one block of queries against one block of keys at a time. With
// scores s_ij = scale q_i·k_j, L_i = log Σ_j e^s_ij kept from the forward pass and the output's
// gradient do:
//   p_ij = e^(s_ij - L_i),  δ_i = do_i·o_i = Σ_j p_ij do_i·v_j,  ds_ij = p_ij (do_i·v_j - δ_i),
//   dv_j = Σ_i p_ij do_i,   dq_i = scale Σ_j ds_ij k_j,   dk_j = scale Σ_i ds_ij q_i.
// Everything is f32, also where bf16 products would do; scores and L carry a factor log2(e).
// q, o, do, dq: [B, T, H, D]; k, v, dk, dv: [B, S, Hkv, D]; L: [B, T, H]. Source: Dao et al. 2022
// (FlashAttention).
//
// Five products per tile. Those for s, do·v and dq have queries in the vector lanes, as the forward
// pass (attention_tiles.h); those for dv and dk sum over queries, so their lanes are columns,
// padded to whole vectors, and the elements of p and ds are broadcast. A block of queries stays in
// scratch while its keys pass by, and dk and dv of one (batch, key head) are summed in scratch too.
//
// A thread takes a whole (batch, key head). When those are few, its blocks are dealt to several
// parts, each with sums of its own that are added in order: the number of threads decides the bits,
// chance does not.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "binding/cpu/attention_backward.cc"
#include "hwy/foreach_target.h"  // keeps its place before highway.h
#include "hwy/highway.h"
//
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "binding/cpu/attention_tiles.h"
#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/scratch.h"

#ifndef ESPALIER_CPU_ATTENTION_BACKWARD_ONCE
#define ESPALIER_CPU_ATTENTION_BACKWARD_ONCE
namespace espalier::cpu {
namespace {

// Columns are padded to this many: a whole vector on any target.
constexpr int64_t kPadding = 16;

// How one call is shared out.
struct Plan {
  AttentionProblem problem;
  int64_t padded;  // columns of the sums
  int64_t items;   // problems of one (batch, key head)
  int64_t parts;   // of each item
  bool shared;     // parts == 1: a thread reuses its sums
  int64_t threads;

  explicit Plan(const AttentionBackwardArguments& a)
      : problem(a),
        padded((problem.columns + kPadding - 1) / kPadding * kPadding),
        items(problem.batches * problem.key_heads),
        threads(omp_get_max_threads()) {
    const int64_t blocks = (problem.rows + kMaxRows - 1) / kMaxRows;
    const int64_t even = threads / std::gcd(threads, items);
    parts = items >= 4 * threads ? 1 : std::min<int64_t>({even, blocks, 4});
    shared = parts == 1;
  }

  // Floats for dk and dv of one problem.
  [[nodiscard]] int64_t sums() const { return 2 * problem.keys * padded; }
  // Floats for all sums.
  [[nodiscard]] int64_t all_sums() const { return sums() * (shared ? threads : items * parts); }
  // Floats of a thread beside the sums: q, do and dq transposed, q and do in rows, p and ds, k and
  // v.
  [[nodiscard]] int64_t scratch() const {
    return 3 * problem.columns * kMaxRows + 2 * padded * kMaxRows + 2 * kKeys * kMaxRows +
           2 * kKeys * problem.columns;
  }
};

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

  // [D][kRows]: queries times scale log2(e), gradients of the output, and of the queries.
  float *q, *g, *dq;
  // [kRows][padded]: queries and gradients of the output.
  float *q_rows, *g_rows;
  // [kKeys][kRows]: scores then probabilities, do·v then gradients of the scores.
  float *p, *ds;
  // [kKeys][D].
  float *k, *v;
  HWY_ALIGN float base[kRows];
  HWY_ALIGN float delta[kRows];
  HWY_ALIGN int32_t first[kRows];
  HWY_ALIGN int32_t end[kRows];
};

// Scores in p and do·v in ds of keys [start, start + keys) become p and ds of the formulas above; 0
// where a row does not see a key. mask: of these keys, or null.
template <int64_t NV>
HWY_INLINE void weigh(Block<NV>& block, int64_t start, int64_t keys, const uint8_t* mask) {
  constexpr int64_t kRows = Block<NV>::kRows;
  const D d;
  const DI di;
  for (int64_t lane = 0; lane < kRows; lane += kLanes) {
    const auto first = hn::Load(di, block.first + lane);
    const auto end = hn::Load(di, block.end + lane);
    const V base = hn::Load(d, block.base + lane);
    const V delta = hn::Load(d, block.delta + lane);
    // Rows are in order of position, so the outer lanes bound what some and what all of them see.
    const int64_t last = lane + kLanes - 1;
    const int64_t some_first = block.first[lane] - start;
    const int64_t some_end = block.end[last] - start;
    const int64_t all_first = block.first[last] - start;
    const int64_t all_end = block.end[lane] - start;
    for (int64_t j = 0; j < keys; ++j) {
      float* p = block.p + j * kRows + lane;
      float* ds = block.ds + j * kRows + lane;
      if (j < some_first || j >= some_end || (mask != nullptr && mask[j] == 0)) {
        hn::Store(hn::Zero(d), d, p);
        hn::Store(hn::Zero(d), d, ds);
        continue;
      }
      V weight = power_of_two(hn::Sub(hn::Load(d, p), base));
      V slope = hn::Mul(weight, hn::Sub(hn::Load(d, ds), delta));
      if (j < all_first || j >= all_end) {
        const auto key = hn::Set(di, static_cast<int32_t>(start + j));
        const auto seen = hn::RebindMask(d, hn::AndNot(hn::Lt(key, first), hn::Lt(key, end)));
        weight = hn::IfThenElseZero(seen, weight);
        slope = hn::IfThenElseZero(seen, slope);
      }
      hn::Store(weight, d, p);
      hn::Store(slope, d, ds);
    }
  }
}

// sums[j][c] += Σ_r weights[j][r] rows[r][c] for all keys of a block and columns [c, c + NC
// vectors).
template <int64_t NC, int64_t Rows>
HWY_INLINE void add_rows(const float* rows, int64_t padded, const float* weights, int64_t count,
                         int64_t keys, float* sums) {
  in_tiles<NC>(keys, [&](auto n, int64_t j) {
    product_tile<n(), NC, true>(rows, padded, weights + j * Rows, Stride<Rows>(), Stride<1>(),
                                count, sums + j * padded, padded);
  });
}

// The same over all columns.
template <int64_t Rows>
HWY_INLINE void add_all_rows(const float* rows, int64_t padded, int64_t columns,
                             const float* weights, int64_t count, int64_t keys, float* sums) {
  int64_t c = 0;
  for (; c + (kMaxVectors - 1) * kLanes < columns; c += kMaxVectors * kLanes) {
    add_rows<kMaxVectors, Rows>(rows + c, padded, weights, count, keys, sums + c);
  }
  for (; c + kLanes < columns; c += 2 * kLanes) {
    add_rows<2, Rows>(rows + c, padded, weights, count, keys, sums + c);
  }
  for (; c < columns; c += kLanes) {
    add_rows<1, Rows>(rows + c, padded, weights, count, keys, sums + c);
  }
}

// Rows [row, row + count) of one (batch, key head); dk (without scale) and dv are added to.
template <int64_t NV>
void block_gradient(const AttentionBackwardArguments& a, const Plan& plan, int64_t batch,
                    int64_t key_head, int64_t row, int64_t count, float* scratch, float* dk,
                    float* dv) {
  constexpr int64_t kRows = Block<NV>::kRows;
  const AttentionProblem& p = plan.problem;
  const int64_t columns = p.columns;
  const int64_t padded = plan.padded;
  Block<NV> block;
  block.q = scratch;
  block.g = block.q + columns * kMaxRows;
  block.dq = block.g + columns * kMaxRows;
  block.q_rows = block.dq + columns * kMaxRows;
  block.g_rows = block.q_rows + padded * kMaxRows;
  block.p = block.g_rows + padded * kMaxRows;
  block.ds = block.p + kKeys * kMaxRows;
  block.k = block.ds + kKeys * kMaxRows;
  block.v = block.k + kKeys * columns;

  const float factor = a.scale * 1.44269504F;  // log2(e)
  const Range real = p.real_keys(batch);
  std::fill_n(block.dq, columns * kRows, 0.0F);
  const float* queries[kRows];
  const float* gradients[kRows];
  for (int64_t r = 0; r < kRows; ++r) {
    // Rows that do not exist repeat the last one, but see nothing.
    const bool exists = r < count;
    const int64_t source = row + std::min(r, count - 1);
    const int64_t offset = p.offset_of(batch, key_head, source);
    const Range range = p.visible_keys(real, source / p.group);
    block.first[r] = static_cast<int32_t>(exists ? range.first : range.end);
    block.end[r] = static_cast<int32_t>(range.end);
    block.base[r] = std::numeric_limits<float>::infinity();
    block.delta[r] = 0;
    const float* q = queries[r] = a.q.as<float>() + offset;
    const float* g = gradients[r] = a.gradient.as<float>() + offset;
    if (!exists) continue;
    std::fill(std::copy_n(q, columns, block.q_rows + r * padded), block.q_rows + (r + 1) * padded,
              0.0F);
    std::fill(std::copy_n(g, columns, block.g_rows + r * padded), block.g_rows + (r + 1) * padded,
              0.0F);
    const float* output = a.output.as<float>() + offset;
    float delta = 0;
#pragma omp simd reduction(+ : delta)
    for (int64_t c = 0; c < columns; ++c) delta += g[c] * output[c];
    block.delta[r] = delta;
    const float sum = a.log_sum_exp.as<float>()[offset / columns];
    if (sum != -std::numeric_limits<float>::infinity()) block.base[r] = sum;
  }
  for (int64_t lane = 0; lane < kRows; lane += kLanes) {
    lanes_of_rows(queries + lane, columns, factor, block.q + lane, kRows);
    lanes_of_rows(gradients + lane, columns, 1, block.g + lane, kRows);
  }

  for (int64_t start = block.first[0]; start < block.end[kRows - 1]; start += kKeys) {
    const int64_t keys = std::min<int64_t>(kKeys, block.end[kRows - 1] - start);
    const int64_t source = p.key_offset(batch, key_head) + start * p.key_stride();
    const uint8_t* mask = p.key_mask == nullptr ? nullptr : p.mask_of(batch) + start;
    copy_keys(a.k.as<float>() + source, p.key_stride(), mask, keys, columns, block.k);
    copy_keys(a.v.as<float>() + source, p.key_stride(), mask, keys, columns, block.v);
    score_keys<NV>(block.q, block.k, keys, columns, block.p);
    score_keys<NV>(block.g, block.v, keys, columns, block.ds);
    weigh(block, start, keys, mask);
    in_tiles<NV>(columns, [&](auto n, int64_t c) {
      product_tile<n(), NV, true>(block.ds, kRows, block.k + c, Stride<1>(), columns, keys,
                                  block.dq + c * kRows, kRows);
    });
    add_all_rows<kRows>(block.g_rows, padded, columns, block.p, count, keys, dv + start * padded);
    add_all_rows<kRows>(block.q_rows, padded, columns, block.ds, count, keys, dk + start * padded);
  }

  float* outputs[kRows];
  for (int64_t r = 0; r < count; ++r) {
    outputs[r] = a.q_gradient.as<float>() + p.offset_of(batch, key_head, row + r);
  }
  for (int64_t lane = 0; lane < count; lane += kLanes) {
    rows_of_lanes(block.dq + lane, kRows, columns, hn::Set(D(), a.scale), outputs + lane,
                  std::min(kLanes, count - lane));
  }
}

// One part of one (batch, key head), into sums [dk, dv][S][padded].
void part_gradient(const AttentionBackwardArguments& a, const Plan& plan, int64_t item,
                   int64_t part, float* scratch, float* sums) {
  constexpr int64_t kRows = kMaxVectors * kLanes;
  const AttentionProblem& p = plan.problem;
  const int64_t batch = item / p.key_heads;
  const int64_t key_head = item % p.key_heads;
  std::fill_n(sums, plan.sums(), 0.0F);
  float* dk = sums;
  float* dv = sums + p.keys * plan.padded;
  // In turn, because later blocks of a causal problem see more keys.
  for (int64_t row = part * kRows; row < p.rows; row += plan.parts * kRows) {
    const int64_t count = std::min(kRows, p.rows - row);
    if (count <= kLanes) {
      block_gradient<1>(a, plan, batch, key_head, row, count, scratch, dk, dv);
    } else if (count <= 2 * kLanes) {
      block_gradient<2>(a, plan, batch, key_head, row, count, scratch, dk, dv);
    } else {
      block_gradient<kMaxVectors>(a, plan, batch, key_head, row, count, scratch, dk, dv);
    }
  }
}

// dk and dv of one (batch, key head) from the sums of its parts.
void add_parts(const AttentionBackwardArguments& a, const Plan& plan, int64_t item,
               const float* sums) {
  const AttentionProblem& p = plan.problem;
  const int64_t offset = p.key_offset(item / p.key_heads, item % p.key_heads);
  const auto add = [&](const float* source, float factor, float* target) {
    for (int64_t j = 0; j < p.keys; ++j) {
      float* line = target + offset + j * p.key_stride();
      for (int64_t c = 0; c < p.columns; ++c) {
        float sum = 0;
        for (int64_t part = 0; part < plan.parts; ++part) {
          sum += source[part * plan.sums() + j * plan.padded + c];
        }
        line[c] = sum * factor;
      }
    }
  };
  add(sums, a.scale, a.k_gradient.as<float>());
  add(sums + p.keys * plan.padded, 1, a.v_gradient.as<float>());
}

void attention_backward(const AttentionBackwardArguments& a, const Plan& plan, float* scratch,
                        float* sums) {
#pragma omp parallel for schedule(dynamic, 1)
  for (int64_t part = 0; part < plan.items * plan.parts; ++part) {
    const int64_t thread = omp_get_thread_num();
    const int64_t item = part / plan.parts;
    float* own = sums + (plan.shared ? thread : part) * plan.sums();
    part_gradient(a, plan, item, part % plan.parts, scratch + thread * plan.scratch(), own);
    if (plan.shared) add_parts(a, plan, item, own);
  }
  if (plan.shared) return;
#pragma omp parallel for schedule(static)
  for (int64_t item = 0; item < plan.items; ++item) {
    add_parts(a, plan, item, sums + item * plan.parts * plan.sums());
  }
}

}  // namespace
}  // namespace espalier::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace espalier::cpu {

HWY_EXPORT(attention_backward);

Status CpuBackend::attention_backward(const AttentionBackwardArguments& arguments) {
  if (arguments.q.shape.elements() == 0) {
    Status status = clear(arguments.k_gradient);
    return status.ok() ? clear(arguments.v_gradient) : status;
  }
  const Plan plan(arguments);
  const Scratch<float> scratch(static_cast<size_t>(plan.threads * plan.scratch()));
  const Scratch<float> sums(static_cast<size_t>(plan.all_sums()));
  if (scratch.data() == nullptr || sums.data() == nullptr) return out_of_scratch();
  HWY_DYNAMIC_DISPATCH(attention_backward)(arguments, plan, scratch.data(), sums.data());
  return {};
}

}  // namespace espalier::cpu
#endif
