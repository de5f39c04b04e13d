// Products of bf16 tiles in shared memory by tensor cores, for attention and its gradient.
//
// A tile holds lines of kColumns bf16 numbers, each line eight numbers longer than its columns: the
// eight rows of a matrix load then begin in different banks. A warp has kFragments times 16 rows of
// a block's and all columns; fragments.h says which of their numbers a lane holds. Sums of one
// product are factors of the next one without leaving their lanes: two neighbouring fragments of
// results, rounded, are one fragment of left factors.
#pragma once

#include <cstdint>

#include "cuda/async_copy.h"
#include "cuda/attention_problem.h"
#include "cuda/fragments.h"

namespace espalier::cuda {

/// Numbers from one line of a bf16 tile to the next.
constexpr int bf16_line_stride(int columns) { return columns + 8; }

/// Where a lane's results stand in 16 rows by 8 columns: row and row + 8, column and column + 1.
struct FragmentPlace {
  int row = static_cast<int>(threadIdx.x) % 32 / 4;      ///< first row
  int column = 2 * (static_cast<int>(threadIdx.x) % 4);  ///< first column
};

/// 16 x 8 results for each of kFragments and each eight of kWidth columns.
template <int kFragments, int kWidth>
using Fragments = float[kFragments][kWidth / 8][4];

/// Begins to copy lines [start, start + kLines) of `source`, zeros from line `end` on.
template <int kLines, int kColumns, int kThreads>
__device__ inline void copy_bf16_lines(const Bf16* source, int start, int end, Bf16* tile) {
  constexpr int kChunks = kColumns / 8;
  constexpr int kAll = kLines * kChunks;
  // Copies do not wait for each other, so that unrolled loops would only take registers.
#pragma unroll 1
  for (int chunk = static_cast<int>(threadIdx.x); chunk < kAll; chunk += kThreads) {
    const int line = chunk / kChunks;
    const int column = chunk % kChunks * 8;
    const bool exists = start + line < end;
    copy_async(tile + line * bf16_line_stride(kColumns) + column,
               exists ? source + int64_t{start + line} * kColumns + column : source,
               exists ? 16 : 0);
  }
}

/// A lane's share of four 8 x 8 matrices of a tile that begins at `at`: 16 lines by 16 columns,
/// of which the second matrix is the next one down.
template <int kColumns>
__device__ inline const Bf16* down_first(const Bf16* at) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  return at + lane % 16 * bf16_line_stride(kColumns) + lane / 16 * 8;
}

/// The same, the second matrix being the next one across.
template <int kColumns>
__device__ inline const Bf16* across_first(const Bf16* at) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  return at + (lane % 8 + lane / 16 * 8) * bf16_line_stride(kColumns) + lane / 8 % 2 * 8;
}

/// c[:, :] += a (b0 | b1), for a fragment of left factors and two of right ones.
__device__ inline void multiply_add_both(float (*c)[4], const uint32_t (&a)[4],
                                         const uint32_t (&b)[4]) {
  multiply_add_bf16(c[0], a, {b[0], b[1]});
  multiply_add_bf16(c[1], a, {b[2], b[3]});
}

/// out[i][j] = Σ_c rows[i][c] lines[j][c]: the warp's rows, which begin at `rows`, against kLines
/// lines.
template <int kFragments, int kLines, int kColumns>
__device__ inline void multiply_lines(const Bf16* rows, const Bf16* lines,
                                      Fragments<kFragments, kLines>& out) {
  constexpr int kStride = bf16_line_stride(kColumns);
  const Bf16* left = down_first<kColumns>(rows);
  const Bf16* right = across_first<kColumns>(lines);
#pragma unroll
  for (auto& fragments : out) {
#pragma unroll
    for (auto& fragment : fragments) {
#pragma unroll
      for (float& sum : fragment) sum = 0;
    }
  }
#pragma unroll
  for (int c = 0; c < kColumns; c += 16) {
    uint32_t a[kFragments][4];
#pragma unroll
    for (int f = 0; f < kFragments; ++f) load_matrices<false>(a[f], left + 16 * f * kStride + c);
#pragma unroll
    for (int j = 0; j < kLines; j += 16) {
      uint32_t b[4];
      load_matrices<false>(b, right + j * kStride + c);
#pragma unroll
      for (int f = 0; f < kFragments; ++f) multiply_add_both(&out[f][j / 8], a[f], b);
    }
  }
}

/// A fragment of left factors of results and their neighbours to the right, rounded.
__device__ inline void round_fragments(const float (*results)[4], uint32_t (&a)[4]) {
  a[0] = bf16_pair(results[0][0], results[0][1]);
  a[1] = bf16_pair(results[0][2], results[0][3]);
  a[2] = bf16_pair(results[1][0], results[1][1]);
  a[3] = bf16_pair(results[1][2], results[1][3]);
}

/// sums[i][c] += Σ_j weights[i][j] lines[j][c] for kWidth columns from the first of `lines` on.
template <int kFragments, int kLines, int kColumns, int kWidth>
__device__ inline void add_lines(const Fragments<kFragments, kLines>& weights, const Bf16* lines,
                                 Fragments<kFragments, kWidth>& sums) {
  constexpr int kStride = bf16_line_stride(kColumns);
  const Bf16* right = down_first<kColumns>(lines);
#pragma unroll
  for (int j = 0; j < kLines; j += 16) {
    uint32_t a[kFragments][4];
#pragma unroll
    for (int f = 0; f < kFragments; ++f) round_fragments(&weights[f][j / 8], a[f]);
#pragma unroll
    for (int c = 0; c < kWidth; c += 16) {
      uint32_t b[4];
      load_matrices<true>(b, right + j * kStride + c);
#pragma unroll
      for (int f = 0; f < kFragments; ++f) multiply_add_both(&sums[f][c / 8], a[f], b);
    }
  }
}

/// target[first + c] = factor results[c], where it is one of the D columns of a line: of a lane's
/// first row, or with `half` = 1 its second one. With `add` to what is there.
template <int kWidth>
__device__ inline void store_line(const AttentionProblem& p, const FragmentPlace& place,
                                  const float (&results)[kWidth / 8][4], int half, int first,
                                  float factor, bool add, float* target) {
#pragma unroll
  for (int n = 0; n < kWidth / 8; ++n) {
    const int c = first + 8 * n + place.column;
    float x = results[n][2 * half] * factor;
    float y = results[n][2 * half + 1] * factor;
    if (add && c < p.columns) x += target[c];
    if (add && c + 1 < p.columns) y += target[c + 1];
    if (p.packs && c < p.columns) {
      *reinterpret_cast<float2*>(target + c) = make_float2(x, y);
    } else {
      if (c < p.columns) target[c] = x;
      if (c + 1 < p.columns) target[c + 1] = y;
    }
  }
}

/// Whether a bf16 number is neither infinite nor NaN.
__device__ inline bool is_finite(Bf16 value) { return (value.bits & 0x7f80U) != 0x7f80U; }

}  // namespace espalier::cuda
