// bf16 products on tensor cores, sums in f32: c = dropout(extra) + factor a b + beta c + bias.
// A block of warps sums kRows x kColumns results in registers. Tiles of kDepth inner indices come
// through three buffers of shared memory, two under way while the third is multiplied. A factor
// lies in shared memory as it does in global memory, either way round, its 16-byte chunks permuted
// within a row so that the eight rows of a matrix load fall into different banks. The extra
// product, the low-rank path of an adapted layer, is summed in f32 before the first tile comes.
#include <algorithm>

#include "cuda/async_copy.h"
#include "cuda/device.h"
#include "cuda/fragments.h"
#include "cuda/launch.h"
#include "cuda/scratch.h"
#include "cuda/tensor_product.h"

namespace espalier::cuda {
namespace {

constexpr int kDepth = 32;
constexpr int kStages = 3;
// Inner indices of the extra product that are in shared memory at once.
constexpr int kExtraDepth = 8;

// Warps of a block, and fragments of results of a warp: 16 rows and 8 columns each.
template <int kWarpRows, int kWarpColumns, int kFragmentRows, int kFragmentColumns>
struct Tile {
  static constexpr int kFragmentsDown = kFragmentRows;
  static constexpr int kFragmentsAcross = kFragmentColumns;
  static constexpr int kWarpsAcross = kWarpColumns;
  static constexpr int kThreads = 32 * kWarpRows * kWarpColumns;
  static constexpr int kRows = 16 * kFragmentRows * kWarpRows;
  static constexpr int kColumns = 8 * kFragmentColumns * kWarpColumns;
  static constexpr int kStage = kDepth * (kRows + kColumns);
  static constexpr size_t kBytes =
      std::max(kStages * kStage * sizeof(Bf16), kExtraDepth*(kRows + kColumns) * sizeof(float));
};
using Large = Tile<2, 4, 4, 4>;   // 128 x 128
using Medium = Tile<2, 2, 2, 4>;  // 64 x 64
using Flat = Tile<1, 4, 1, 2>;    // 16 x 64

// A tile of a factor in shared memory: [kOuter, kDepth] or [kDepth, kOuter].
template <int kOuter, bool kInnerContiguous>
struct SharedTile {
  static constexpr int kWidth = kInnerContiguous ? kDepth : kOuter;
  static constexpr int kHeight = kInnerContiguous ? kOuter : kDepth;
  static constexpr int kChunks = kWidth / 8;
  // Rows that 128 bytes hold, over which the permutation stays.
  static constexpr int kRowsTogether = kChunks < 8 ? 8 / kChunks : 1;
  static constexpr int kPermuted = kChunks < 8 ? kChunks : 8;

  // Where a chunk of a row stands.
  __device__ static int at(int row, int chunk) {
    return row * kWidth + 8 * (chunk ^ (row / kRowsTogether % kPermuted));
  }

  // Begins to copy the tile that starts at (outer, inner).
  template <int kThreads>
  __device__ static void copy(Bf16* tile, const TileFactor& f, int64_t outer, int64_t outer_end,
                              int64_t inner, int64_t inner_end) {
    constexpr int kAll = kHeight * kChunks;
    const auto* data = static_cast<const Bf16*>(f.data);
    const int64_t first_row = kInnerContiguous ? outer : inner;
    const int64_t first_column = kInnerContiguous ? inner : outer;
    const int64_t row_end = kInnerContiguous ? outer_end : inner_end;
    const int64_t column_end = kInnerContiguous ? inner_end : outer_end;
#pragma unroll
    for (int i = 0; i < (kAll + kThreads - 1) / kThreads; ++i) {
      const int chunk = static_cast<int>(threadIdx.x) + i * kThreads;
      if (kAll % kThreads != 0 && chunk >= kAll) break;
      const int64_t row = first_row + chunk / kChunks;
      const int64_t column = first_column + chunk % kChunks * 8;
      const int64_t left = row < row_end ? column_end - column : 0;
      const int count = left >= 8 ? 8 : left <= 0 ? 0 : static_cast<int>(left);
      copy_async(tile + at(chunk / kChunks, chunk % kChunks),
                 count > 0 ? data + row * f.stride + column : data,
                 count * static_cast<int>(sizeof(Bf16)));
    }
  }

  // Four matrices of 16 outer by 16 inner indices from (outer, inner) on. kOuterFirst: the second
  // of them is the next outer one, as a fragment A wants it; else the next inner one, as two
  // fragments B do.
  template <bool kOuterFirst>
  __device__ static void load(uint32_t (&words)[4], const Bf16* tile, int outer, int inner) {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const int second = lane / 8 % 2;
    const int third = lane / 16;
    const int o = outer + 8 * (kOuterFirst ? second : third);
    const int l = inner + 8 * (kOuterFirst ? third : second);
    if constexpr (kInnerContiguous) {
      load_matrices<false>(words, tile + at(o + lane % 8, l / 8));
    } else {
      load_matrices<true>(words, tile + at(l + lane % 8, o / 8));
    }
  }
};

// The part of the work that does not depend on the block.
struct Work {
  TileProduct product;
  int64_t tile_rows;
  int64_t tile_columns;
  int64_t split_depth;  // tiles of the inner index that a block sums
  float* parts;         // [splits, m, n]: where sums of parts go, or null
  bool pairs;           // results may be written two at a time
};

// Element (outer, inner) of an f32 factor.
__device__ inline float element(const TileFactor& f, int64_t outer, int64_t inner) {
  const auto* data = static_cast<const float*>(f.data);
  return f.inner_contiguous ? data[outer * f.stride + inner] : data[inner * f.stride + outer];
}

// Places of this thread's results in the block's.
template <class Shape>
struct Places {
  int row;     // of the first fragment's first result
  int column;  // likewise

  __device__ Places() {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const int warp = static_cast<int>(threadIdx.x) / 32;
    row = warp / Shape::kWarpsAcross * 16 * Shape::kFragmentsDown + lane / 4;
    column = warp % Shape::kWarpsAcross * 8 * Shape::kFragmentsAcross + 2 * (lane % 4);
  }
};

template <class Shape>
using Sums = float[Shape::kFragmentsDown][Shape::kFragmentsAcross][4];

// The extra product, in sums that are 0. Leaves the shared memory free.
template <class Shape>
__device__ void sum_extra(const TileProduct& p, int64_t row, int64_t column, float* shared,
                          Sums<Shape>& sums) {
  const TileTerm& extra = p.extra;
  const Places<Shape> places;
  float* as = shared;
  float* bs = shared + kExtraDepth * Shape::kRows;
  for (int64_t inner = 0; inner < extra.k; inner += kExtraDepth) {
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < kExtraDepth * Shape::kRows;
         i += Shape::kThreads) {
      const int64_t r = row + i % Shape::kRows;
      const int64_t l = inner + i / Shape::kRows;
      as[i] = r < p.m && l < extra.k ? extra.factor * element(extra.a, r, l) : 0.0F;
    }
    for (int i = static_cast<int>(threadIdx.x); i < kExtraDepth * Shape::kColumns;
         i += Shape::kThreads) {
      const int64_t c = column + i % Shape::kColumns;
      const int64_t l = inner + i / Shape::kColumns;
      bs[i] = c < p.n && l < extra.k ? element(extra.b, c, l) : 0.0F;
    }
    __syncthreads();
    for (int l = 0; l < kExtraDepth; ++l) {
      float2 y[Shape::kFragmentsAcross];
#pragma unroll
      for (int j = 0; j < Shape::kFragmentsAcross; ++j) {
        y[j] = *reinterpret_cast<const float2*>(bs + l * Shape::kColumns + places.column + 8 * j);
      }
#pragma unroll
      for (int i = 0; i < Shape::kFragmentsDown; ++i) {
        const float low = as[l * Shape::kRows + places.row + 16 * i];
        const float high = as[l * Shape::kRows + places.row + 16 * i + 8];
#pragma unroll
        for (int j = 0; j < Shape::kFragmentsAcross; ++j) {
          sums[i][j][0] = fmaf(low, y[j].x, sums[i][j][0]);
          sums[i][j][1] = fmaf(low, y[j].y, sums[i][j][1]);
          sums[i][j][2] = fmaf(high, y[j].x, sums[i][j][2]);
          sums[i][j][3] = fmaf(high, y[j].y, sums[i][j][3]);
        }
      }
    }
  }
  __syncthreads();
  if (p.extra_dropout.keeps_all()) return;
#pragma unroll
  for (int i = 0; i < Shape::kFragmentsDown; ++i) {
#pragma unroll
    for (int j = 0; j < Shape::kFragmentsAcross; ++j) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int64_t r = row + places.row + 16 * i + 8 * half;
        const float2 pair =
            p.extra_dropout.apply(make_float2(sums[i][j][2 * half], sums[i][j][2 * half + 1]),
                                  static_cast<uint64_t>(r * p.n + column + places.column + 8 * j));
        sums[i][j][2 * half] = pair.x;
        sums[i][j][2 * half + 1] = pair.y;
      }
    }
  }
}

template <class Shape, bool kInnerA, bool kInnerB>
__global__ void __launch_bounds__(Shape::kThreads, 2) tensor_product_kernel(const Work work) {
  using A = SharedTile<Shape::kRows, kInnerA>;
  using B = SharedTile<Shape::kColumns, kInnerB>;
  const TileProduct& p = work.product;
  const BlockPlace block = block_place(work.tile_rows, work.tile_columns);
  const int64_t row = block.row * Shape::kRows;
  const int64_t column = block.column * Shape::kColumns;
  auto* shared = dynamic_shared<Bf16>();
  const int64_t all = (p.term.k + kDepth - 1) / kDepth;
  const int64_t begin = blockIdx.z * work.split_depth;
  const int64_t end = begin + work.split_depth < all ? begin + work.split_depth : all;
  const auto copy = [&](int64_t tile, int stage) {
    if (tile < end) {
      Bf16* to = shared + stage * Shape::kStage;
      A::template copy<Shape::kThreads>(to, p.term.a, row, p.m, tile * kDepth, p.term.k);
      B::template copy<Shape::kThreads>(to + kDepth * Shape::kRows, p.term.b, column, p.n,
                                        tile * kDepth, p.term.k);
    }
    end_copy_group();
  };

  Sums<Shape> sums = {};
  if (p.extra.k > 0 && blockIdx.z == 0) {
    sum_extra<Shape>(p, row, column, dynamic_shared<float>(), sums);
  }
  for (int stage = 0; stage < kStages - 1; ++stage) copy(begin + stage, stage);
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int warp_row = warp / Shape::kWarpsAcross * 16 * Shape::kFragmentsDown;
  const int warp_column = warp % Shape::kWarpsAcross * 8 * Shape::kFragmentsAcross;
  int stage = 0;
  for (int64_t tile = begin; tile < end; ++tile) {
    wait_copy_groups<kStages - 2>();
    __syncthreads();
    // Into the stage that every warp has just left.
    copy(tile + kStages - 1, stage == 0 ? kStages - 1 : stage - 1);
    const Bf16* as = shared + stage * Shape::kStage;
    stage = stage + 1 == kStages ? 0 : stage + 1;
    const Bf16* bs = as + kDepth * Shape::kRows;
#pragma unroll
    for (int inner = 0; inner < kDepth; inner += 16) {
      uint32_t a[Shape::kFragmentsDown][4];
      uint32_t b[Shape::kFragmentsAcross][2];
#pragma unroll
      for (int i = 0; i < Shape::kFragmentsDown; ++i) {
        A::template load<true>(a[i], as, warp_row + 16 * i, inner);
      }
#pragma unroll
      for (int j = 0; j < Shape::kFragmentsAcross; j += 2) {
        uint32_t words[4];
        B::template load<false>(words, bs, warp_column + 8 * j, inner);
        b[j][0] = words[0];
        b[j][1] = words[1];
        b[j + 1][0] = words[2];
        b[j + 1][1] = words[3];
      }
#pragma unroll
      for (int i = 0; i < Shape::kFragmentsDown; ++i) {
#pragma unroll
        for (int j = 0; j < Shape::kFragmentsAcross; ++j) multiply_add_bf16(sums[i][j], a[i], b[j]);
      }
    }
  }
  if (p.extra.k == 0) {
#pragma unroll
    for (auto& sums_of_row : sums) {
#pragma unroll
      for (auto& fragment : sums_of_row) {
#pragma unroll
        for (float& sum : fragment) sum *= p.term.factor;
      }
    }
  }

  const Places<Shape> places;
#pragma unroll
  for (int i = 0; i < Shape::kFragmentsDown; ++i) {
#pragma unroll
    for (int j = 0; j < Shape::kFragmentsAcross; ++j) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int64_t r = row + places.row + 16 * i + 8 * half;
        const int64_t c = column + places.column + 8 * j;
        if (r >= p.m || c >= p.n) continue;
        float* target = work.parts != nullptr ? work.parts + (blockIdx.z * p.m + r) * p.n + c
                                              : p.out.c + r * p.out.stride + c;
        float2 pair = make_float2(sums[i][j][2 * half], sums[i][j][2 * half + 1]);
        const bool both = c + 1 < p.n;
        if (work.parts == nullptr) {
          pair.x = finish(p.out, r, c, pair.x);
          if (both) pair.y = finish(p.out, r, c + 1, pair.y);
        }
        if (work.pairs && both) {
          *reinterpret_cast<float2*>(target) = pair;
        } else {
          target[0] = pair.x;
          if (both) target[1] = pair.y;
        }
      }
    }
  }
}

template <class Shape, bool kInnerA, bool kInnerB>
Status run(CudaBackend& backend, const TileProduct& p) {
  const Splits splits = split_sums(backend, p, Shape::kRows, Shape::kColumns, kDepth);
  const Scratch<float> parts(backend, splits.part_elements(p));
  if (parts.data() == nullptr) return out_of_scratch();
  const Work work{.product = p,
                  .tile_rows = splits.tile_rows,
                  .tile_columns = splits.tile_columns,
                  .split_depth = splits.depth,
                  .parts = splits.count > 1 ? parts.data() : nullptr,
                  .pairs = splits.count > 1 ? p.n % 2 == 0
                                            : p.out.stride % 2 == 0 &&
                                                  reinterpret_cast<uintptr_t>(p.out.c) % 8 == 0};
  const Status status =
      launch(tensor_product_kernel<Shape, kInnerA, kInnerB>,
             {.blocks = splits.blocks(), .threads = Shape::kThreads, .shared_bytes = Shape::kBytes},
             backend.stream(), work);
  if (!status.ok() || splits.count == 1) return status;
  return add_parts(backend, p, parts.data(), splits.count);
}

template <class Shape>
Status run_layout(CudaBackend& backend, const TileProduct& p) {
  if (p.term.a.inner_contiguous) {
    return p.term.b.inner_contiguous ? run<Shape, true, true>(backend, p)
                                     : run<Shape, true, false>(backend, p);
  }
  return p.term.b.inner_contiguous ? run<Shape, false, true>(backend, p)
                                   : run<Shape, false, false>(backend, p);
}

}  // namespace

Status tensor_product(CudaBackend& backend, const TileProduct& p) {
  if (p.m == 0 || p.n == 0) return {};
  if (p.m <= Flat::kRows) return run_layout<Flat>(backend, p);
  const bool fills =
      std::min(p.m, p.n) > Medium::kRows &&
      ceil_div(p.m, Large::kRows) * ceil_div(p.n, Large::kColumns) >= backend.multiprocessors();
  return fills ? run_layout<Large>(backend, p) : run_layout<Medium>(backend, p);
}

}  // namespace espalier::cuda
