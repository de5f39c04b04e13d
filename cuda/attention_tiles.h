// Products of f32 tiles in shared memory, for attention and its gradient.
//
// A tile holds lines of numbers, each line four numbers longer than its columns so that lines start
// in different banks. Eight lanes of a warp share the rows that one of them holds: a lane has kRows
// neighbouring rows (its part is lane / 8), and of the other direction every eighth key, or every
// eighth group of columns.
#pragma once

#include <cstdint>

#include "cuda/async_copy.h"
#include "cuda/attention_problem.h"
#include "cuda/pack.h"

namespace espalier::cuda {

/// Lanes that share rows.
constexpr int kLanes = 8;
/// Shared memory of a block on every card.
constexpr size_t kLeastSharedBytes = size_t{64} << 10;

/// Where this thread stands in a tile of rows, `kRows` to a lane.
template <int kRows>
struct Place {
  int x = static_cast<int>(threadIdx.x) % kLanes;            ///< lane among those that share rows
  int row = static_cast<int>(threadIdx.x) / kLanes * kRows;  ///< first row of the lane
};

/// Numbers from one line of a tile to the next.
constexpr int line_stride(int columns) { return columns + 4; }

/// Begins to copy `kLines` lines of D numbers into a tile of kColumns, zeros behind them.
/// source(line) is the address of a line, or null for zeros.
template <int kLines, int kColumns, int kThreads, class Source>
__device__ inline void copy_lines(const AttentionProblem& p, float* tile, Source&& source) {
  constexpr int kPacks = kColumns / 4;
  // Copies do not wait for each other, so that unrolled loops would only be long.
#pragma unroll 1
  for (int i = static_cast<int>(threadIdx.x); i < kLines * kPacks; i += kThreads) {
    const int line = i / kPacks;
    const int c = i % kPacks * 4;
    float* target = tile + line * line_stride(kColumns) + c;
    const float* from = source(line);
    const int left = from == nullptr ? 0 : p.columns - c;
    if (p.packs && left > 0) {
      copy_async(target, from + c, 16);
    } else {
      float4 values = make_float4(0, 0, 0, 0);
      if (left > 0) values.x = from[c];
      if (left > 1) values.y = from[c + 1];
      if (left > 2) values.z = from[c + 2];
      if (left > 3) values.w = from[c + 3];
      *reinterpret_cast<float4*>(target) = values;
    }
  }
}

/// out[i][j] = Σ_c a[row + i][c] b[x + 8 j][c] over two tiles.
template <int kRows, int kKeys, int kColumns>
__device__ inline void score_tile(const Place<kRows>& place, const float* a, const float* b,
                                  float (&out)[kRows][kKeys]) {
  constexpr int kStride = line_stride(kColumns);
#pragma unroll
  for (int i = 0; i < kRows; ++i) {
#pragma unroll
    for (int j = 0; j < kKeys; ++j) out[i][j] = 0;
  }
  const float* rows = a + place.row * kStride;
  const float* keys = b + place.x * kStride;
#pragma unroll 2
  for (int c = 0; c < kColumns; c += 4) {
    Pack<float, 4> row[kRows];
    Pack<float, 4> key[kKeys];
#pragma unroll
    for (int i = 0; i < kRows; ++i) row[i] = load_pack<4>(rows + i * kStride + c);
#pragma unroll
    for (int j = 0; j < kKeys; ++j) key[j] = load_pack<4>(keys + j * kLanes * kStride + c);
#pragma unroll
    for (int e = 0; e < 4; ++e) {
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
#pragma unroll
        for (int j = 0; j < kKeys; ++j) {
          out[i][j] = fmaf(row[i].value[e], key[j].value[e], out[i][j]);
        }
      }
    }
  }
}

/// A lane's share of kRows lines of kColumns sums: every eighth group of neighbouring columns.
template <int kRows, int kColumns>
struct Sums {
  static constexpr int kWidth = kColumns % (4 * kLanes) == 0 ? 4 : 2;  ///< columns of a group
  static constexpr int kGroups = kColumns / (kWidth * kLanes);         ///< groups of a lane
  float value[kRows][kGroups][kWidth] = {};

  /// First column of a lane's group.
  __device__ static int column(int x, int group) { return (group * kLanes + x) * kWidth; }

  /// value[i] += Σ_j weights[j][row + i] lines[j] over kLines lines; weights has line_stride(
  /// kTileRows). With kExclude, lines of weight 0 are left out, so that numbers which are not
  /// finite stay away from rows that do not see them.
  template <bool kExclude, int kLines, int kTileRows>
  __device__ void add(const Place<kRows>& place, const float* weights, const float* lines) {
#pragma unroll(kExclude ? 1 : 2)
    for (int j = 0; j < kLines; ++j) {
      const auto weight = load_pack<kRows>(weights + j * line_stride(kTileRows) + place.row);
#pragma unroll
      for (int g = 0; g < kGroups; ++g) {
        const auto line = load_pack<kWidth>(lines + j * line_stride(kColumns) + column(place.x, g));
#pragma unroll
        for (int i = 0; i < kRows; ++i) {
#pragma unroll
          for (int e = 0; e < kWidth; ++e) {
            const float number = kExclude && weight.value[i] == 0 ? 0.0F : line.value[e];
            value[i][g][e] = fmaf(weight.value[i], number, value[i][g][e]);
          }
        }
      }
    }
  }

  /// target[c] = factor value[i] for the D columns of one line.
  __device__ void store(const AttentionProblem& p, int x, int i, float factor,
                        float* target) const {
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
      const int c = column(x, g);
      Pack<float, kWidth> pack;
#pragma unroll
      for (int e = 0; e < kWidth; ++e) pack.value[e] = value[i][g][e] * factor;
      if (p.packs && c < p.columns) {
        store_pack(target + c, pack);
      } else {
#pragma unroll
        for (int e = 0; e < kWidth; ++e) {
          if (c + e < p.columns) target[c + e] = pack.value[e];
        }
      }
    }
  }
};

/// tile[x + 8 j][row + i] = weights[i][j], for Sums::add; read by the same warp after __syncwarp.
template <int kTileRows, int kRows, int kKeys>
__device__ inline void store_weights(const Place<kRows>& place,
                                     const float (&weights)[kRows][kKeys], float* tile) {
#pragma unroll
  for (int j = 0; j < kKeys; ++j) {
    Pack<float, kRows> pack;
#pragma unroll
    for (int i = 0; i < kRows; ++i) pack.value[i] = weights[i][j];
    store_pack(tile + (place.x + j * kLanes) * line_stride(kTileRows) + place.row, pack);
  }
}

/// Calls `body` with Tile<kColumns, false>, or with the small one where blocks get little shared
/// memory.
template <template <int, bool> class Tile, int kColumns, class Body>
Status with_tile(int compute_capability, Body&& body) {
  using Large = Tile<kColumns, false>;
  using Small = Tile<kColumns, true>;
  static_assert(Large::kBytes <= kSharedBytes);
  if constexpr (Large::kBytes <= kLeastSharedBytes) {
    return body(Large{});
  } else {
    static_assert(Small::kBytes <= kLeastSharedBytes);
    return compute_capability < 80 ? body(Small{}) : body(Large{});
  }
}

}  // namespace espalier::cuda
