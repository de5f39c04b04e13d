// Gradients of softmax attention, one tile of queries against one tile of keys at a time. With
// scores s_ij = scale q_i·k_j, L_i = log Σ_j e^s_ij kept from the forward pass and the output's
// gradient do:
//   p_ij = e^(s_ij - L_i),  δ_i = do_i·o_i = Σ_j p_ij do_i·v_j,  ds_ij = p_ij (do_i·v_j - δ_i),
//   dv_j = Σ_i p_ij do_i,   dq_i = scale Σ_j ds_ij k_j,   dk_j = scale Σ_i ds_ij q_i.
// Everything is f32 here; with bf16 products attention_backward_bf16.cu takes over where a card
// can. Scores and L carry a factor log2(e). q, o, do, dq: [B, T, H, D]; k, v, dk, dv: [B, S, Hkv,
// D]; L: [B, T, H]. Source: Dao et al. 2022 (FlashAttention).
//
// Three kernels: δ, then one block for each tile of queries for dq, and one for each tile of keys
// for dk and dv. The last two are one kernel seen from two sides: a fixed pair of tiles, (q, do) or
// (k, v), stays in shared memory while the other pair passes by, and the sums stay in registers.
// Probabilities are made twice that way, but no result is added to by several blocks: the bits are
// the same every time. Of the passing pair, what is needed last is fetched last: v or do arrives
// while sums are added up, k or q while do·v is computed.
#include "cuda/attention_bf16.h"
#include "cuda/attention_gradient.h"
#include "cuda/attention_tiles.h"
#include "cuda/fragments.h"
#include "cuda/scratch.h"

namespace espalier::cuda {
namespace {

/// How a block shares its work, by head size.
template <int kHeadSize, bool kSmall>
struct BackwardTile {
  static constexpr int kColumns = kHeadSize;
  static constexpr int kLaneRows = kColumns > 128 ? 2 : 4;
  static constexpr int kRows = (kColumns > 128 ? 32 : 64) / (kSmall ? 2 : 1);  // fixed lines
  static constexpr int kLines = kColumns > 128 ? 8 : kColumns > 96 ? 16 : 32;  // passing lines
  static constexpr int kThreads = kRows / kLaneRows * kLanes;
  // Two fixed and two passing tiles, ds and p, and what is known of queries.
  static constexpr size_t kBytes =
      sizeof(float) * (2 * (kRows + kLines) * line_stride(kColumns) +
                       2 * kLines * line_stride(kRows) + 4 * (kRows > kLines ? kRows : kLines));
};

/// delta[r] = Σ_c gradient[r, c] output[r, c], a warp to a row. Gradient is the type that products
/// take the gradient in: δ takes it in the same, so that a row's slopes still add up to 0.
template <class Gradient>
__global__ void delta_kernel(const float* gradient, const float* output, float* delta, int64_t rows,
                             int64_t columns) {
  const int64_t warps = global_threads() / 32;
  for (int64_t row = global_thread() / 32; row < rows; row += warps) {
    float sum = 0;
    for (int64_t c = threadIdx.x % 32; c < columns; c += 32) {
      const float factor = to_float(from_float<Gradient>(gradient[row * columns + c]));
      sum = fmaf(factor, output[row * columns + c], sum);
    }
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0) delta[row] = sum;
  }
}

/// dq of a tile of queries, or dk and dv of a tile of keys.
template <bool kByKey, class Tile>
__global__ void __launch_bounds__(Tile::kThreads, 2)
    gradient_kernel(AttentionProblem p, BackwardArrays arrays, float scale) {
  constexpr int kStride = line_stride(Tile::kColumns);
  constexpr int kLaneRows = Tile::kLaneRows;
  constexpr int kLaneLines = Tile::kLines / kLanes;
  const float factor = scale * kLog2E;
  constexpr int kQueries = kByKey ? Tile::kLines : Tile::kRows;
  auto* fixed_first = dynamic_shared<float>();                // q or k
  float* fixed_second = fixed_first + Tile::kRows * kStride;  // do or v
  float* first_tile = fixed_second + Tile::kRows * kStride;   // k or q
  float* second_tile = first_tile + Tile::kLines * kStride;   // v or do
  float* slopes = second_tile + Tile::kLines * kStride;
  float* weights = slopes + Tile::kLines * line_stride(Tile::kRows);
  auto* queries = reinterpret_cast<Query*>(weights + Tile::kLines * line_stride(Tile::kRows));

  // Tiles that meet most go first: the last queries and the first keys of a causal problem.
  const AttentionItem item(p, blockIdx.x % p.items());
  const unsigned rank = blockIdx.x / p.items();
  const unsigned tile = kByKey ? rank : gridDim.x / p.items() - 1 - rank;
  const int row0 = static_cast<int>(tile) * Tile::kRows;
  const int last = min(row0 + Tile::kRows, kByKey ? p.keys : p.rows) - 1;
  const Passing passing = passing_lines<kByKey>(item, p.rows, row0, last);

  const auto line_of = [&](bool keys, const float* source, int line, int end) {
    if (line >= end) return static_cast<const float*>(nullptr);
    if (!keys) return source + item.row_offset(line);
    return item.is_real(line) ? source + item.key_offset(line) : nullptr;
  };
  const auto copy_fixed = [&](const float* source, float* target) {
    copy_lines<Tile::kRows, Tile::kColumns, Tile::kThreads>(
        p, target, [&](int line) { return line_of(kByKey, source, row0 + line, last + 1); });
  };
  const auto copy_passing = [&](const float* source, int start, float* target) {
    copy_lines<Tile::kLines, Tile::kColumns, Tile::kThreads>(
        p, target, [&](int line) { return line_of(!kByKey, source, start + line, passing.end); });
    end_copy_group();
  };
  const auto describe_queries = [&](int start, int end) {
    for (int i = static_cast<int>(threadIdx.x); i < kQueries; i += Tile::kThreads) {
      // Queries that do not exist see nothing.
      Query query{INFINITY, 0, {0, 0}};
      if (start + i < end) {
        const int64_t at = item.row_offset(start + i) / p.columns;
        const float sum = arrays.log_sum_exp[at];
        query = {sum == -INFINITY ? INFINITY : sum, arrays.delta[at], item.visible_keys(start + i)};
      }
      queries[i] = query;
    }
  };

  const float* passing_first = kByKey ? arrays.q : arrays.k;
  const float* passing_second = kByKey ? arrays.gradient : arrays.v;
  const Place<kLaneRows> place;
  Sums<kLaneRows, Tile::kColumns> along;                   // dq or dk, without scale
  Sums<kByKey ? kLaneRows : 1, Tile::kColumns> of_values;  // dv; unused by queries
  if (passing.first < passing.end) {
    copy_fixed(kByKey ? arrays.k : arrays.q, fixed_first);
    copy_fixed(kByKey ? arrays.v : arrays.gradient, fixed_second);
    copy_passing(passing_second, passing.first, second_tile);
    copy_passing(passing_first, passing.first, first_tile);
    if constexpr (!kByKey) describe_queries(row0, last + 1);
  }
  for (int start = passing.first; start < passing.end; start += Tile::kLines) {
    if constexpr (kByKey) describe_queries(start, passing.end);
    wait_copy_groups<1>();
    __syncthreads();
    float slope[kLaneRows][kLaneLines];
    score_tile<kLaneRows, kLaneLines, Tile::kColumns>(place, fixed_second, second_tile, slope);
    wait_copy_groups<0>();
    __syncthreads();
    float weight[kLaneRows][kLaneLines];
    score_tile<kLaneRows, kLaneLines, Tile::kColumns>(place, fixed_first, first_tile, weight);

#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) {
#pragma unroll
      for (int j = 0; j < kLaneLines; ++j) {
        const int row = row0 + place.row + i;
        const int line = place.x + j * kLanes;
        const Query query = queries[kByKey ? line : place.row + i];
        const int key = kByKey ? row : start + line;
        const bool seen = key >= query.range.first && key < query.range.end && item.is_real(key);
        weight[i][j] = seen ? exp2f(binary_score(weight[i][j], factor) - query.base) : 0.0F;
        slope[i][j] = seen ? weight[i][j] * (slope[i][j] - query.delta) : 0.0F;
      }
    }
    store_weights<Tile::kRows>(place, slope, slopes);
    if constexpr (kByKey) {
      store_weights<Tile::kRows>(place, weight, weights);
      __syncwarp();
      of_values.template add<false, Tile::kLines, Tile::kRows>(place, weights, second_tile);
    }
    const int next = start + Tile::kLines;
    __syncthreads();
    if (next < passing.end) copy_passing(passing_second, next, second_tile);
    along.template add<false, Tile::kLines, Tile::kRows>(place, slopes, first_tile);
    __syncthreads();
    if (next < passing.end) copy_passing(passing_first, next, first_tile);
  }

#pragma unroll
  for (int i = 0; i < kLaneRows; ++i) {
    const int row = row0 + place.row + i;
    if (row > last) continue;
    if constexpr (kByKey) {
      const int64_t offset = item.key_offset(row);
      along.store(p, place.x, i, scale, arrays.dk + offset);
      of_values.store(p, place.x, i, 1.0F, arrays.dv + offset);
    } else {
      along.store(p, place.x, i, scale, arrays.dq + item.row_offset(row));
    }
  }
}

template <bool kByKey, class Tile>
Status launch_gradient(const CudaBackend& backend, const AttentionProblem& p,
                       const BackwardArrays& arrays, float scale) {
  const int lines = kByKey ? p.keys : p.rows;
  const auto tiles = static_cast<unsigned>((lines + Tile::kRows - 1) / Tile::kRows);
  return launch(
      gradient_kernel<kByKey, Tile>,
      {.blocks = {tiles * p.items()}, .threads = Tile::kThreads, .shared_bytes = Tile::kBytes},
      backend.stream(), p, arrays, scale);
}

}  // namespace

Status CudaBackend::attention_backward(const AttentionBackwardArguments& a) {
  if (a.q.shape.elements() == 0) {
    Status status = clear(a.k_gradient);
    return status.ok() ? clear(a.v_gradient) : status;
  }
  if (Status status = check_sizes(a); !status.ok()) return status;
  AttentionProblem p(a);
  const int64_t rows = a.q.shape.rows();
  const Scratch<float> delta(*this, static_cast<size_t>(rows));
  const Scratch<KeyRange> real(*this, static_cast<size_t>(p.batches));
  if (delta.data() == nullptr || real.data() == nullptr) return out_of_scratch();
  const BackwardArrays arrays{.q = a.q.as<float>(),
                              .k = a.k.as<float>(),
                              .v = a.v.as<float>(),
                              .gradient = a.gradient.as<float>(),
                              .log_sum_exp = a.log_sum_exp.as<float>(),
                              .delta = delta.data(),
                              .dq = a.q_gradient.as<float>(),
                              .dk = a.k_gradient.as<float>(),
                              .dv = a.v_gradient.as<float>()};
  p.packs = arrays.in_packs_of(p.columns);
  if (Status status = find_real_keys(*this, p, real.data()); !status.ok()) return status;
  constexpr int64_t kThreads = 256;
  const bool tensor_cores =
      a.products == Products::bf16 && compute_capability_ >= kFragmentsCapability;
  if (Status status =
          launch(tensor_cores ? delta_kernel<Bf16> : delta_kernel<float>,
                 {.blocks = blocks_for(32 * rows, kThreads), .threads = kThreads}, stream_,
                 arrays.gradient, a.output.as<float>(), delta.data(), rows, p.columns);
      !status.ok()) {
    return status;
  }
  if (tensor_cores) return attention_backward_bf16(*this, p, arrays, a.scale);
  return with_head_size("attention", p.columns, [&](auto columns) {
    return with_tile<BackwardTile, columns()>(compute_capability_, [&](auto tile) {
      using Tile = decltype(tile);
      Status status = launch_gradient<false, Tile>(*this, p, arrays, a.scale);
      return status.ok() ? launch_gradient<true, Tile>(*this, p, arrays, a.scale) : status;
    });
  });
}

}  // namespace espalier::cuda
