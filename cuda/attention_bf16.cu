// Softmax attention as in attention.cu, its products on bf16 tensor cores: q, k and v are rounded
// to bf16 beforehand (rounded_heads.h), probabilities after they were added up. Scores, maxima,
// sums and numerators are f32. Source: Dao et al. 2022 (FlashAttention), Dao 2023 (2).
//
// A warp has 16 or 32 rows of a block's tile and holds their scores against a tile of keys and
// their numerators in registers, so that only maxima and sums cross lanes. Values arrive while
// scores are computed, and the next keys while values are added up.
#include "cuda/attention_bf16.h"
#include "cuda/attention_fragments.h"
#include "cuda/rounded_heads.h"

namespace espalier::cuda {
namespace {

/// How a block shares its work, by head size.
template <int kHeadSize>
struct ForwardTile {
  static constexpr int kColumns = kHeadSize;
  static constexpr int kFragments = kColumns > 128 ? 1 : 2;  // of 16 rows, of a warp
  static constexpr int kWarps = 4;
  static constexpr int kThreads = 32 * kWarps;
  static constexpr int kRows = 16 * kFragments * kWarps;
  static constexpr int kKeys = kColumns > 128 ? 32 : 64;
  // Queries, keys and values.
  static constexpr size_t kBytes = sizeof(Bf16) * (kRows + 2 * kKeys) * bf16_line_stride(kColumns);
  static_assert(kBytes <= kSharedBytes);
};

/// True when this thread's share of a tile of values has an element that is not finite.
template <class Tile>
__device__ bool any_infinite(const Bf16* values) {
  bool found = false;
#pragma unroll 4
  for (int i = 2 * static_cast<int>(threadIdx.x); i < Tile::kKeys * Tile::kColumns;
       i += 2 * Tile::kThreads) {
    const Bf16* pair =
        values + i / Tile::kColumns * bf16_line_stride(Tile::kColumns) + i % Tile::kColumns;
    found = found || !is_finite(pair[0]) || !is_finite(pair[1]);
  }
  return found;
}

/// Writes zeros over the elements of a tile of values that are not finite.
template <class Tile>
__device__ void clear_infinite(Bf16* values) {
#pragma unroll 1
  for (int i = static_cast<int>(threadIdx.x); i < Tile::kKeys * Tile::kColumns;
       i += Tile::kThreads) {
    Bf16* value =
        values + i / Tile::kColumns * bf16_line_stride(Tile::kColumns) + i % Tile::kColumns;
    if (!is_finite(*value)) *value = Bf16{0};
  }
}

/// Adds the values of a tile that are not finite to the results of the rows that see them, where
/// they wait for the rest: in a product they would reach the other rows too, 0 times infinity being
/// NaN. `begun`: results have been added to before.
template <class Tile>
__device__ void add_infinite(const AttentionProblem& p, const AttentionItem& item, int row0,
                             int last_row, int start, const Bf16* values, bool begun,
                             float* output) {
#pragma unroll 1
  for (int i = static_cast<int>(threadIdx.x); i < Tile::kRows * Tile::kColumns;
       i += Tile::kThreads) {
    const int row = row0 + i / Tile::kColumns;
    const int c = i % Tile::kColumns;
    if (row > last_row || c >= p.columns) continue;
    const KeyRange range = item.visible_keys(row);
    float& result = output[item.row_offset(row) + c];
    float sum = begun ? result : 0.0F;
    for (int key = max(range.first, start); key < min(range.end, start + Tile::kKeys); ++key) {
      const Bf16 value = values[(key - start) * bf16_line_stride(Tile::kColumns) + c];
      if (!is_finite(value)) sum += to_float(value);
    }
    result = sum;
  }
}

template <class Tile>
__global__ void __launch_bounds__(Tile::kThreads, 2)
    attention_bf16_kernel(AttentionProblem p, const Bf16* q, const Bf16* k, const Bf16* v,
                          float* output, float* log_sum_exp, float factor) {
  constexpr int kColumns = Tile::kColumns;
  constexpr int kStride = bf16_line_stride(kColumns);
  constexpr int kFragments = Tile::kFragments;
  auto* queries = dynamic_shared<Bf16>();
  Bf16* keys = queries + Tile::kRows * kStride;
  Bf16* values = keys + Tile::kKeys * kStride;

  // The last rows of a causal problem see most keys: they go first.
  const unsigned index = blockIdx.x % p.items();
  const AttentionItem item(p, index);
  const int row0 =
      static_cast<int>(gridDim.x / p.items() - 1 - blockIdx.x / p.items()) * Tile::kRows;
  const int last_row = min(row0 + Tile::kRows, p.rows) - 1;
  const KeyRange first_range = item.visible_keys(row0);
  const KeyRange last_range = item.visible_keys(last_row);
  const auto copy_keys = [&](const Bf16* source, int start, Bf16* tile) {
    copy_bf16_lines<Tile::kKeys, kColumns, Tile::kThreads>(
        source + int64_t{index} * p.keys * kColumns, start, last_range.end, tile);
    end_copy_group();
  };
  copy_bf16_lines<Tile::kRows, kColumns, Tile::kThreads>(q + int64_t{index} * p.rows * kColumns,
                                                         row0, p.rows, queries);
  if (first_range.first < last_range.end) copy_keys(k, first_range.first, keys);

  const FragmentPlace place;
  const int warp_row = static_cast<int>(threadIdx.x) / 32 * 16 * kFragments;
  const auto row_of = [&](int f, int half) {
    return row0 + warp_row + 16 * f + 8 * half + place.row;
  };
  RowSoftmax softmax[kFragments][2];
  Fragments<kFragments, kColumns> numerator = {};
  bool infinite = false;  // whether add_infinite() has been called

  for (int start = first_range.first; start < last_range.end; start += Tile::kKeys) {
    wait_copy_groups<0>();
    __syncthreads();
    copy_keys(v, start, values);
    Fragments<kFragments, Tile::kKeys> score;
    multiply_lines<kFragments, Tile::kKeys, kColumns>(queries + warp_row * kStride, keys, score);

#pragma unroll
    for (auto& fragments : score) {
#pragma unroll
      for (auto& fragment : fragments) {
#pragma unroll
        for (float& element : fragment) element = binary_score(element, factor);
      }
    }
    const bool all_seen = last_range.first <= start && first_range.end >= start + Tile::kKeys;
    if (!all_seen || item.mask != nullptr) {
#pragma unroll
      for (int f = 0; f < kFragments; ++f) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const KeyRange range = item.visible_keys(min(row_of(f, half), last_row));
#pragma unroll
          for (int j = 0; j < Tile::kKeys / 8; ++j) {
#pragma unroll
            for (int e = 0; e < 2; ++e) {
              const int key = start + 8 * j + place.column + e;
              const bool seen = key >= range.first && key < range.end && item.is_real(key);
              if (!seen) score[f][j][2 * half + e] = -INFINITY;
            }
          }
        }
      }
    }

    // Scores become probabilities relative to the new maximum. Four lanes share a row.
#pragma unroll
    for (int f = 0; f < kFragments; ++f) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        RowSoftmax& row = softmax[f][half];
        float highest = row.maximum;
#pragma unroll
        for (const auto& fragment : score[f]) {
          highest = fmaxf(highest, fmaxf(fragment[2 * half], fragment[2 * half + 1]));
        }
        highest = fmaxf(highest, __shfl_xor_sync(kAllLanes, highest, 1));
        highest = fmaxf(highest, __shfl_xor_sync(kAllLanes, highest, 2));
        const float decay = row.raise(highest);
        const float base = row.base();
#pragma unroll
        for (auto& fragment : score[f]) {
#pragma unroll
          for (int e = 0; e < 2; ++e) {
            float& element = fragment[2 * half + e];
            element = rough_exp2(element - base);
            row.sum += element;
          }
        }
#pragma unroll
        for (auto& fragment : numerator[f]) {
          fragment[2 * half] *= decay;
          fragment[2 * half + 1] *= decay;
        }
      }
    }

    wait_copy_groups<0>();
    __syncthreads();
    if (start + Tile::kKeys < last_range.end) copy_keys(k, start + Tile::kKeys, keys);
    if (!all_seen && __syncthreads_or(any_infinite<Tile>(values)) != 0) {
      add_infinite<Tile>(p, item, row0, last_row, start, values, infinite, output);
      infinite = true;
      __syncthreads();
      clear_infinite<Tile>(values);
      __syncthreads();
    }
    add_lines<kFragments, Tile::kKeys, kColumns, kColumns>(score, values, numerator);
  }

  if (infinite) __syncthreads();
#pragma unroll
  for (int f = 0; f < kFragments; ++f) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      RowSoftmax& softmax_row = softmax[f][half];
      // Each lane has summed its own keys.
      softmax_row.sum += __shfl_xor_sync(kAllLanes, softmax_row.sum, 1);
      softmax_row.sum += __shfl_xor_sync(kAllLanes, softmax_row.sum, 2);
      const int row = row_of(f, half);
      if (row > last_row) continue;
      const int64_t offset = item.row_offset(row);
      store_line<kColumns>(p, place, numerator[f], half, 0, softmax_row.inverse(), infinite,
                           output + offset);
      if (log_sum_exp != nullptr && place.column == 0) {
        log_sum_exp[offset / p.columns] = softmax_row.log_sum_exp();
      }
    }
  }
}

}  // namespace

Status attention_bf16(CudaBackend& backend, const AttentionArguments& a,
                      const AttentionProblem& p) {
  return with_head_size("attention", p.columns, [&](auto columns) {
    using Tile = ForwardTile<columns()>;
    RoundedHeads<Tile::kColumns, 3> rounded(backend, p,
                                            {{{.data = a.q.as<float>()},
                                              {.data = a.k.as<float>(), .by_key = true},
                                              {.data = a.v.as<float>(), .by_key = true}}});
    if (Status status = rounded.prepare(); !status.ok()) return status;
    const auto tiles = static_cast<unsigned>((p.rows + Tile::kRows - 1) / Tile::kRows);
    return launch(
        attention_bf16_kernel<Tile>,
        {.blocks = {tiles * p.items()}, .threads = Tile::kThreads, .shared_bytes = Tile::kBytes},
        backend.stream(), p, rounded[0], rounded[1], rounded[2], a.output.as<float>(),
        a.log_sum_exp.as<float>(), a.scale * kLog2E);
  });
}

}  // namespace espalier::cuda
