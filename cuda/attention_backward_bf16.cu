// Gradients of softmax attention as in attention_backward.cu, products on bf16 tensor cores: q, k,
// v and the output's gradient are rounded to bf16 beforehand (rounded_heads.h), probabilities and
// the gradients of scores where they become factors. Scores, δ and sums are f32.
//
// One kernel seen from two sides, once for tiles of queries and once for tiles of keys. A warp has
// 16 rows of the fixed tiles, (q, do) or (k, v), and all lines of the passing ones: what it makes
// of them, transposed by key, is a left factor as it lies in its registers. Where the sums of dk
// and dv are more than registers hold, two blocks make the same probabilities and half of the
// columns each.
#include "cuda/attention_bf16.h"
#include "cuda/attention_fragments.h"
#include "cuda/rounded_heads.h"

namespace espalier::cuda {
namespace {

/// How a block shares its work, by head size.
template <bool kKeys, int kHeadSize>
struct GradientTile {
  static constexpr bool kByKey = kKeys;
  static constexpr int kColumns = kHeadSize;
  static constexpr int kParts = kByKey && kColumns > 128 ? 2 : 1;  // blocks that share a tile
  static constexpr int kWidth = kColumns / kParts;                 // columns of the results of one
  static constexpr int kWarps = 4;
  static constexpr int kThreads = 32 * kWarps;
  static constexpr int kRows = 16 * kWarps;                                     // fixed lines
  static constexpr int kLines = kColumns > 128 ? 16 : kColumns > 64 ? 32 : 64;  // passing lines
  // Two fixed and two passing tiles, and what is known of the queries that pass.
  static constexpr size_t kBytes =
      sizeof(Bf16) * 2 * (kRows + kLines) * bf16_line_stride(kColumns) +
      (kByKey ? sizeof(Query) * kLines : 0);
  static_assert(kBytes <= kSharedBytes);
};

/// The rounded arrays of a call.
struct RoundedArrays {
  const Bf16 *q, *k, *v, *gradient;
};

/// dq of a tile of queries, or dk and dv of a tile of keys.
template <class Tile>
__global__ void __launch_bounds__(Tile::kThreads, 2)
    gradient_bf16_kernel(AttentionProblem p, RoundedArrays rounded, BackwardArrays arrays,
                         float scale) {
  constexpr bool kByKey = Tile::kByKey;
  constexpr int kColumns = Tile::kColumns;
  constexpr int kStride = bf16_line_stride(kColumns);
  const float factor = scale * kLog2E;
  auto* fixed_first = dynamic_shared<Bf16>();                // q or k
  Bf16* fixed_second = fixed_first + Tile::kRows * kStride;  // do or v
  Bf16* first_tile = fixed_second + Tile::kRows * kStride;   // k or q
  Bf16* second_tile = first_tile + Tile::kLines * kStride;   // v or do
  auto* queries = reinterpret_cast<Query*>(second_tile + Tile::kLines * kStride);

  // Tiles that meet most go first: the last queries and the first keys of a causal problem.
  const unsigned index = blockIdx.x % p.items();
  const AttentionItem item(p, index);
  const int part = static_cast<int>(blockIdx.x / p.items()) % Tile::kParts;
  const unsigned tiles = gridDim.x / p.items() / Tile::kParts;
  const unsigned rank = blockIdx.x / p.items() / Tile::kParts;
  const int row0 = static_cast<int>(kByKey ? rank : tiles - 1 - rank) * Tile::kRows;
  const int fixed_end = kByKey ? p.keys : p.rows;
  const int last = min(row0 + Tile::kRows, fixed_end) - 1;
  const Passing passing = passing_lines<kByKey>(item, p.rows, row0, last);

  const auto lines_of = [&](bool keys, const Bf16* source) {
    return source + int64_t{index} * (keys ? p.keys : p.rows) * kColumns;
  };
  const auto copy_fixed = [&](const Bf16* source, Bf16* target) {
    copy_bf16_lines<Tile::kRows, kColumns, Tile::kThreads>(lines_of(kByKey, source), row0,
                                                           fixed_end, target);
  };
  const auto copy_passing = [&](const Bf16* source, int start, Bf16* target) {
    copy_bf16_lines<Tile::kLines, kColumns, Tile::kThreads>(lines_of(!kByKey, source), start,
                                                            passing.end, target);
    end_copy_group();
  };
  const auto describe = [&](int query, int end) {
    // Queries that do not exist see nothing.
    if (query >= end) return Query{INFINITY, 0, {0, 0}};
    const int64_t at = item.row_offset(query) / p.columns;
    const float sum = arrays.log_sum_exp[at];
    return Query{sum == -INFINITY ? INFINITY : sum, arrays.delta[at], item.visible_keys(query)};
  };

  const FragmentPlace place;
  const int warp_row = static_cast<int>(threadIdx.x) / 32 * 16;
  const int row = row0 + warp_row + place.row;  // of this lane, and row + 8
  const Bf16* passing_first = kByKey ? rounded.q : rounded.k;
  const Bf16* passing_second = kByKey ? rounded.gradient : rounded.v;
  Fragments<1, Tile::kWidth> along = {};                    // dq or dk, without scale
  Fragments<1, kByKey ? Tile::kWidth : 16> of_values = {};  // dv; unused by queries
  Query own[2] = {};                                        // unused by keys
  if constexpr (!kByKey) {
    own[0] = describe(row, p.rows);
    own[1] = describe(row + 8, p.rows);
  }
  if (passing.first < passing.end) {
    copy_fixed(kByKey ? rounded.k : rounded.q, fixed_first);
    copy_fixed(kByKey ? rounded.v : rounded.gradient, fixed_second);
    copy_passing(passing_second, passing.first, second_tile);
    copy_passing(passing_first, passing.first, first_tile);
  }
  for (int start = passing.first; start < passing.end; start += Tile::kLines) {
    const int next = start + Tile::kLines;
    if constexpr (kByKey) {
      for (int i = static_cast<int>(threadIdx.x); i < Tile::kLines; i += Tile::kThreads) {
        queries[i] = describe(start + i, passing.end);
      }
    }
    wait_copy_groups<1>();
    __syncthreads();
    Fragments<1, Tile::kLines> slope;
    multiply_lines<1, Tile::kLines, kColumns>(fixed_second + warp_row * kStride, second_tile,
                                              slope);
    wait_copy_groups<0>();
    __syncthreads();
    if (!kByKey && next < passing.end) copy_passing(passing_second, next, second_tile);
    Fragments<1, Tile::kLines> weight;
    multiply_lines<1, Tile::kLines, kColumns>(fixed_first + warp_row * kStride, first_tile, weight);

#pragma unroll
    for (int j = 0; j < Tile::kLines / 8; ++j) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int line = 8 * j + place.column + i % 2;
        const Query query = kByKey ? queries[line] : own[i / 2];
        const int key = kByKey ? row + i / 2 * 8 : start + line;
        const bool seen = key >= query.range.first && key < query.range.end && item.is_real(key);
        float& probability = weight[0][j][i];
        probability = seen ? rough_exp2(binary_score(probability, factor) - query.base) : 0.0F;
        slope[0][j][i] = seen ? probability * (slope[0][j][i] - query.delta) : 0.0F;
      }
    }
    if constexpr (kByKey) {
      add_lines<1, Tile::kLines, kColumns, Tile::kWidth>(weight, second_tile + part * Tile::kWidth,
                                                         of_values);
      __syncthreads();
      if (next < passing.end) copy_passing(passing_second, next, second_tile);
    }
    add_lines<1, Tile::kLines, kColumns, Tile::kWidth>(slope, first_tile + part * Tile::kWidth,
                                                       along);
    __syncthreads();
    if (next < passing.end) copy_passing(passing_first, next, first_tile);
  }

#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int line = row + 8 * half;
    if (line > last) continue;
    const int first = part * Tile::kWidth;
    if constexpr (kByKey) {
      const int64_t offset = item.key_offset(line);
      store_line<Tile::kWidth>(p, place, along[0], half, first, scale, false, arrays.dk + offset);
      store_line<Tile::kWidth>(p, place, of_values[0], half, first, 1.0F, false,
                               arrays.dv + offset);
    } else {
      store_line<Tile::kWidth>(p, place, along[0], half, first, scale, false,
                               arrays.dq + item.row_offset(line));
    }
  }
}

template <bool kByKey, int kColumns>
Status launch_gradient(const CudaBackend& backend, const AttentionProblem& p,
                       const RoundedArrays& rounded, const BackwardArrays& arrays, float scale) {
  using Tile = GradientTile<kByKey, kColumns>;
  const int lines = kByKey ? p.keys : p.rows;
  const auto tiles = static_cast<unsigned>((lines + Tile::kRows - 1) / Tile::kRows);
  return launch(gradient_bf16_kernel<Tile>,
                {.blocks = {tiles * Tile::kParts * p.items()},
                 .threads = Tile::kThreads,
                 .shared_bytes = Tile::kBytes},
                backend.stream(), p, rounded, arrays, scale);
}

}  // namespace

Status attention_backward_bf16(CudaBackend& backend, const AttentionProblem& p,
                               const BackwardArrays& arrays, float scale) {
  return with_head_size("attention", p.columns, [&](auto columns) {
    constexpr int kColumns = columns();
    RoundedHeads<kColumns, 4> heads(backend, p,
                                    {{{.data = arrays.q},
                                      {.data = arrays.k, .by_key = true},
                                      {.data = arrays.v, .by_key = true},
                                      {.data = arrays.gradient}}});
    if (Status status = heads.prepare(); !status.ok()) return status;
    const RoundedArrays rounded{heads[0], heads[1], heads[2], heads[3]};
    Status status = launch_gradient<false, kColumns>(backend, p, rounded, arrays, scale);
    return status.ok() ? launch_gradient<true, kColumns>(backend, p, rounded, arrays, scale)
                       : status;
  });
}

}  // namespace espalier::cuda
