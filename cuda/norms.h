// What the normalisations share: rows of a matrix, each held in the registers of a warp or a block.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cuda/device.h"
#include "cuda/launch.h"
#include "cuda/pack.h"

namespace espalier::cuda {

/// Packs of a row that a thread holds; what a longer row has beyond them is read again.
constexpr int kHeldPacks = 4;
/// Most threads of a team, for the launch bounds of a kernel over team_grid.
constexpr int kTeam = 512;

/// How rows of `packs` packs are dealt to teams: x runs along a row, y over the rows of a block. A
/// team is a warp, or the block when a row has more than a warp holds.
inline Grid team_grid(int64_t rows, int64_t packs) {
  constexpr int64_t kBlocks = int64_t{1} << 16;
  int64_t across = 32;
  while (across < kTeam && across * kHeldPacks < packs) across *= 2;
  const int64_t down = across == 32 ? 8 : 1;
  return {.blocks = {static_cast<unsigned>(std::min((rows + down - 1) / down, kBlocks))},
          .threads = {static_cast<unsigned>(across), static_cast<unsigned>(down)}};
}

/// Calls body(row) for the rows of this thread's team, in a kernel launched over team_grid.
template <class Body>
__device__ inline void for_team_rows(int64_t rows, Body&& body) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.y;
  int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  for (; row < rows; row += step) body(row);
}

/// Σ value over the team, the same bits in all of its threads, which must all call it. `scratch` is
/// shared memory of 32 floats.
__device__ inline float team_sum(float value, float* scratch) {
  return blockDim.x == 32 ? warp_sum(value) : block_sum(value, scratch);
}

/// This thread's share of one row of `columns`, in steps of `kCount` of them. T is what is held of
/// a step: a Pack, or several.
template <int kCount, class T = Pack<float, kCount>>
class HeldRow {
 public:
  /// Fills the registers with load(column), a T of the elements from there on.
  template <class Load>
  __device__ HeldRow(int64_t columns, Load&& load) : columns_(columns) {
#pragma unroll
    for (int i = 0; i < kHeldPacks; ++i) {
      if (column(i) < columns) packs_[i] = load(column(i));
    }
  }

  /// Calls body(column, T) for each step; reload(column) gives those that are not held.
  template <class Reload, class Body>
  __device__ void for_each(Reload&& reload, Body&& body) const {
#pragma unroll
    for (int i = 0; i < kHeldPacks; ++i) {
      if (column(i) < columns_) body(column(i), packs_[i]);
    }
    for (int64_t i = kHeldPacks; column(i) < columns_; ++i) body(column(i), reload(column(i)));
  }

  /// Σ term(element) of this thread's elements, T being a Pack.
  template <class Reload, class Term>
  __device__ float sum(Reload&& reload, Term&& term) const {
    float total = 0;
    for_each(reload, [&](int64_t, const Pack<float, kCount>& pack) {
#pragma unroll
      for (int e = 0; e < kCount; ++e) total += term(pack.value[e]);
    });
    return total;
  }

 private:
  __device__ static int64_t column(int64_t i) {
    return (threadIdx.x + i * static_cast<int64_t>(blockDim.x)) * kCount;
  }

  int64_t columns_;
  T packs_[kHeldPacks];
};

}  // namespace espalier::cuda
