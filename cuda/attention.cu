// Softmax attention, one tile of queries against one tile of keys at a time (online softmax): with
// scores s_j = scale q·k_j, running maximum m, sum l and numerator o,
//   m' = max(m, max_j s_j),  l' = l e^(m-m') + Σ_j e^(s_j-m'),  o' = o e^(m-m') + Σ_j e^(s_j-m')
//   v_j,
// and output = o / l at the end, with the binary logarithm of Σ_j 2^s_j when the gradient needs it.
// Everything is f32 here; with bf16 products attention_bf16.cu takes over where a card can. Scores
// carry a factor log2(e), so exponentials are powers of two. q, output: [B, T, H, D]; k, v: [B, S,
// Hkv, D]. Source: Dao et al. 2022 (FlashAttention).
//
// A block takes one tile of rows of one (batch, key head) and walks over its keys; tiles that no
// row sees are never touched. Values arrive while scores are computed, and the next keys while
// values are added up. Products are fused multiply-adds in registers (attention_tiles.h): their
// inputs are f32, and tests hold the results to f32's accuracy, which no tensor-core format has.
#include "cuda/attention_bf16.h"
#include "cuda/attention_tiles.h"
#include "cuda/fragments.h"
#include "cuda/scratch.h"

namespace espalier::cuda {
namespace {

/// How a block shares its work, by head size.
template <int kHeadSize, bool kSmall>
struct ForwardTile {
  static constexpr int kColumns = kHeadSize;
  static constexpr int kLaneRows = kColumns > 128 ? 2 : 4;
  static constexpr int kRows = (kColumns > 128 ? 32 : 64) / (kSmall ? 2 : 1);
  static constexpr int kKeys = kColumns > 128 ? 16 : 32;
  static constexpr int kThreads = kRows / kLaneRows * kLanes;
  // Queries, keys, values and weights.
  static constexpr size_t kBytes =
      sizeof(float) * ((kRows + 2 * kKeys) * line_stride(kColumns) + kKeys * line_stride(kRows));
};

/// True when this thread's share of a tile of values has an element that is not finite.
template <class Tile>
__device__ bool any_infinite(const float* values) {
  bool found = false;
  for (int i = static_cast<int>(threadIdx.x); i < Tile::kKeys * Tile::kColumns;
       i += Tile::kThreads) {
    const float value =
        values[i / Tile::kColumns * line_stride(Tile::kColumns) + i % Tile::kColumns];
    found = found || !(value - value == 0);
  }
  return found;
}

template <class Tile>
__global__ void __launch_bounds__(Tile::kThreads, 2)
    attention_kernel(AttentionProblem p, const float* q, const float* k, const float* v,
                     float* output, float* log_sum_exp, float factor) {
  constexpr int kStride = line_stride(Tile::kColumns);
  constexpr int kLaneRows = Tile::kLaneRows;
  constexpr int kLaneKeys = Tile::kKeys / kLanes;
  constexpr float kLowest = -INFINITY;
  auto* queries = dynamic_shared<float>();
  float* keys = queries + Tile::kRows * kStride;
  float* values = keys + Tile::kKeys * kStride;
  float* weights = values + Tile::kKeys * kStride;

  // The last rows of a causal problem see most keys: they go first.
  const AttentionItem item(p, blockIdx.x % p.items());
  const int row0 =
      static_cast<int>(gridDim.x / p.items() - 1 - blockIdx.x / p.items()) * Tile::kRows;
  const int last_row = min(row0 + Tile::kRows, p.rows) - 1;
  const KeyRange first_range = item.visible_keys(row0);
  const KeyRange last_range = item.visible_keys(last_row);
  const auto copy_keys = [&](const float* source, int start, float* tile) {
    copy_lines<Tile::kKeys, Tile::kColumns, Tile::kThreads>(p, tile, [&](int line) {
      const int key = start + line;
      const bool wanted = key < last_range.end && item.is_real(key);
      return wanted ? source + item.key_offset(key) : nullptr;
    });
    end_copy_group();
  };
  copy_lines<Tile::kRows, Tile::kColumns, Tile::kThreads>(p, queries, [&](int line) {
    return row0 + line <= last_row ? q + item.row_offset(row0 + line) : nullptr;
  });
  if (first_range.first < last_range.end) copy_keys(k, first_range.first, keys);

  const Place<kLaneRows> place;
  KeyRange range[kLaneRows];
  RowSoftmax softmax[kLaneRows];
#pragma unroll
  for (int i = 0; i < kLaneRows; ++i) {
    // Rows that do not exist see what the last one sees; they are not written.
    range[i] = item.visible_keys(min(row0 + place.row + i, last_row));
  }
  Sums<kLaneRows, Tile::kColumns> numerator;

  for (int start = first_range.first; start < last_range.end; start += Tile::kKeys) {
    wait_copy_groups<0>();
    __syncthreads();
    copy_keys(v, start, values);
    float score[kLaneRows][kLaneKeys];
    score_tile<kLaneRows, kLaneKeys, Tile::kColumns>(place, queries, keys, score);

    // Scores become probabilities relative to the new maximum.
    const bool all_seen = last_range.first <= start && first_range.end >= start + Tile::kKeys;
#pragma unroll
    for (int j = 0; j < kLaneKeys; ++j) {
      const int key = start + place.x + j * kLanes;
      const bool exists = all_seen || key < last_range.end;
      const bool masked = exists && !item.is_real(key);
#pragma unroll
      for (int i = 0; i < kLaneRows; ++i) {
        const bool seen = all_seen || (key >= range[i].first && key < range[i].end);
        score[i][j] = seen && !masked ? binary_score(score[i][j], factor) : kLowest;
      }
    }
#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) {
      float highest = softmax[i].maximum;
#pragma unroll
      for (int j = 0; j < kLaneKeys; ++j) highest = fmaxf(highest, score[i][j]);
#pragma unroll
      for (int lanes = kLanes / 2; lanes > 0; lanes /= 2) {
        highest = fmaxf(highest, __shfl_xor_sync(kAllLanes, highest, lanes));
      }
      const float decay = softmax[i].raise(highest);
#pragma unroll
      for (int j = 0; j < kLaneKeys; ++j) {
        score[i][j] = exp2f(score[i][j] - softmax[i].base());
        softmax[i].sum += score[i][j];
      }
#pragma unroll
      for (auto& group : numerator.value[i]) {
#pragma unroll
        for (float& element : group) element *= decay;
      }
    }
    store_weights<Tile::kRows>(place, score, weights);

    wait_copy_groups<0>();
    __syncthreads();
    const bool exclude = !all_seen && __syncthreads_or(any_infinite<Tile>(values)) != 0;
    if (start + Tile::kKeys < last_range.end) copy_keys(k, start + Tile::kKeys, keys);
    if (exclude) {
      numerator.template add<true, Tile::kKeys, Tile::kRows>(place, weights, values);
    } else {
      numerator.template add<false, Tile::kKeys, Tile::kRows>(place, weights, values);
    }
  }

#pragma unroll
  for (int i = 0; i < kLaneRows; ++i) {
    // Each lane has summed its own keys.
#pragma unroll
    for (int lanes = kLanes / 2; lanes > 0; lanes /= 2) {
      softmax[i].sum += __shfl_xor_sync(kAllLanes, softmax[i].sum, lanes);
    }
    const int row = row0 + place.row + i;
    if (row > last_row) continue;
    const int64_t offset = item.row_offset(row);
    numerator.store(p, place.x, i, softmax[i].inverse(), output + offset);
    if (log_sum_exp != nullptr && place.x == 0) {
      log_sum_exp[offset / p.columns] = softmax[i].log_sum_exp();
    }
  }
}

}  // namespace

Status CudaBackend::attention(const AttentionArguments& a) {
  if (a.output.shape.elements() == 0) {
    // Without columns every score is 0 and nobody reads its logarithm.
    return a.log_sum_exp.data == nullptr ? Status() : clear(a.log_sum_exp);
  }
  if (Status status = check_sizes(a); !status.ok()) return status;
  AttentionProblem p(a);
  const auto* q = a.q.as<float>();
  const auto* k = a.k.as<float>();
  const auto* v = a.v.as<float>();
  auto* output = a.output.as<float>();
  p.packs = in_packs<4>(p.columns, q) && in_packs<4>(p.columns, k) && in_packs<4>(p.columns, v) &&
            in_packs<4>(p.columns, output);
  const Scratch<KeyRange> real(*this, static_cast<size_t>(p.batches));
  if (real.data() == nullptr) return out_of_scratch();
  if (Status status = find_real_keys(*this, p, real.data()); !status.ok()) return status;
  if (a.products == Products::bf16 && compute_capability_ >= kFragmentsCapability) {
    return attention_bf16(*this, a, p);
  }
  return with_head_size("attention", p.columns, [&](auto columns) {
    return with_tile<ForwardTile, columns()>(compute_capability_, [&](auto tile) {
      using Tile = decltype(tile);
      const auto tiles = static_cast<unsigned>((p.rows + Tile::kRows - 1) / Tile::kRows);
      return launch(
          attention_kernel<Tile>,
          {.blocks = {tiles * p.items()}, .threads = Tile::kThreads, .shared_bytes = Tile::kBytes},
          stream_, p, q, k, v, output, a.log_sum_exp.as<float>(), a.scale * kLog2E);
    });
  });
}

}  // namespace espalier::cuda
