// f32 products of tiles: a block sums kRows x kColumns results in registers, reading kDepth of the
// inner indices at a time into one of two buffers in shared memory while it multiplies the other.
// Factors are f32, bf16 or f16 and widened exactly on the way to shared memory; they may lie either
// way round, and index lists, masks and dropout are applied as they are read. Sums are f32, in
// increasing order of the inner index. Where the result has too few tiles for the card, several
// blocks sum parts of each, and a second kernel adds the parts in order.
#include <algorithm>

#include "cuda/device.h"
#include "cuda/launch.h"
#include "cuda/scratch.h"
#include "cuda/tile_loader.h"
#include "cuda/tile_product.h"

namespace espalier::cuda {
namespace {

// Results of a block and of a thread of it.
template <int kBlockRows, int kBlockColumns, int kTileDepth, int kThreadRows, int kThreadColumns>
struct Tile {
  static constexpr int kRows = kBlockRows;
  static constexpr int kColumns = kBlockColumns;
  static constexpr int kDepth = kTileDepth;
  static constexpr int kRowsEach = kThreadRows;
  static constexpr int kColumnsEach = kThreadColumns;
  static constexpr int kThreadsX = kColumns / kColumnsEach;
  static constexpr int kThreads = kRows / kRowsEach * kThreadsX;
  // Rows of shared memory are 4 longer than needed: stores of transposed factors then fall into
  // half as few banks.
  static constexpr int kStrideA = kRows + 4;
  static constexpr int kStrideB = kColumns + 4;
  static constexpr int kStage = kDepth * (kStrideA + kStrideB);
};
using Large = Tile<128, 128, 16, 8, 8>;
using Medium = Tile<64, 64, 16, 4, 4>;
using Low = Tile<16, 64, 32, 2, 4>;
using Flat = Tile<8, 64, 32, 1, 4>;
using Tall = Tile<128, 16, 16, 4, 4>;

// What a kernel knows how to do beyond plain products.
enum class Feature { none, mask, dropout, extra };

// Which factors may be read in vectors.
struct Vectors {
  bool a;
  bool b;
  bool extra_a;
  bool extra_b;
  bool c;
};

// The part of the work that does not depend on the block.
struct Work {
  TileProduct product;
  Vectors vectors;
  int64_t tile_rows;
  int64_t tile_columns;
  int64_t split_depth;  // tiles of the inner index that a block sums
  float* parts;         // [splits, m, n]: where sums of parts go, or null
};

// Inner tiles [begin, end) of a term, added to `sums`.
template <class Shape, Feature kFeature>
__device__ void accumulate(const TileTerm& term, bool vectors_a, bool vectors_b,
                           const int32_t* list, int64_t row, int64_t m, int64_t column, int64_t n,
                           int64_t begin, int64_t end, float* shared,
                           float (&sums)[Shape::kRowsEach][Shape::kColumnsEach]) {
  constexpr bool kMask = kFeature == Feature::mask;
  constexpr bool kDropout = kFeature == Feature::dropout;
  constexpr int kFourRows = Shape::kRowsEach < 4 ? Shape::kRowsEach : 4;
  TileLoader<Shape, Shape::kRows, false> a;
  TileLoader<Shape, Shape::kColumns, kMask> b;
  const int tx = static_cast<int>(threadIdx.x) % Shape::kThreadsX;
  const int ty = static_cast<int>(threadIdx.x) / Shape::kThreadsX;
  int64_t inner = 0;
  const auto load = [&](int64_t tile) {
    inner = (list == nullptr ? tile : int64_t{list[tile]}) * Shape::kDepth;
    a.load(term.a, vectors_a, row, m, inner, term.k);
    b.load(term.b, vectors_b, column, n, inner, term.k);
  };
  const auto store = [&](float* stage) {
    a.template store<Shape::kStrideA, kDropout>(term.a, term.factor, row, inner, stage);
    b.template store<Shape::kStrideB, kDropout>(term.b, 1.0F, column, inner,
                                                stage + Shape::kDepth * Shape::kStrideA);
  };
  if (begin >= end) return;
  load(begin);
  store(shared);
  __syncthreads();
  int buffer = 0;
  for (int64_t tile = begin; tile < end; ++tile) {
    if (tile + 1 < end) load(tile + 1);
    const float* as = shared + buffer * Shape::kStage + ty * kFourRows;
    const float* bs = shared + buffer * Shape::kStage + Shape::kDepth * Shape::kStrideA + tx * 4;
#pragma unroll
    for (int l = 0; l < Shape::kDepth; ++l) {
      float x[Shape::kRowsEach];
      float y[Shape::kColumnsEach];
#pragma unroll
      for (int i = 0; i < Shape::kRowsEach; i += kFourRows) {
        const float* from = as + l * Shape::kStrideA + i * (Shape::kRows / Shape::kRowsEach);
        if constexpr (kFourRows == 4) {
          const float4 four = *reinterpret_cast<const float4*>(from);
          x[i] = four.x;
          x[i + 1] = four.y;
          x[i + 2] = four.z;
          x[i + 3] = four.w;
        } else {
#pragma unroll
          for (int e = 0; e < kFourRows; ++e) x[i + e] = from[e];
        }
      }
#pragma unroll
      for (int j = 0; j < Shape::kColumnsEach; j += 4) {
        const float4 four =
            *reinterpret_cast<const float4*>(bs + l * Shape::kStrideB + j * Shape::kThreadsX);
        y[j] = four.x;
        y[j + 1] = four.y;
        y[j + 2] = four.z;
        y[j + 3] = four.w;
      }
#pragma unroll
      for (int i = 0; i < Shape::kRowsEach; ++i) {
#pragma unroll
        for (int j = 0; j < Shape::kColumnsEach; ++j) sums[i][j] = fmaf(x[i], y[j], sums[i][j]);
      }
    }
    if (tile + 1 < end) store(shared + (buffer ^ 1) * Shape::kStage);
    __syncthreads();
    buffer ^= 1;
  }
}

template <class Shape, Feature kFeature>
__global__ void __launch_bounds__(Shape::kThreads, Shape::kThreads == 256 ? 2 : 4)
    tile_product_kernel(const Work work) {
  constexpr int kFourRows = Shape::kRowsEach < 4 ? Shape::kRowsEach : 4;
  const TileProduct& p = work.product;
  const BlockPlace block = block_place(work.tile_rows, work.tile_columns);
  const int64_t row = block.row * Shape::kRows;
  const int64_t column = block.column * Shape::kColumns;
  const int tx = static_cast<int>(threadIdx.x) % Shape::kThreadsX;
  const int ty = static_cast<int>(threadIdx.x) / Shape::kThreadsX;
  auto* shared = dynamic_shared<float>();

  float sums[Shape::kRowsEach][Shape::kColumnsEach];
#pragma unroll
  for (auto& sums_of_row : sums) {
#pragma unroll
    for (float& sum : sums_of_row) sum = 0;
  }
  const auto row_of = [&](int i) {
    return row + i / kFourRows * (Shape::kRows / Shape::kRowsEach) * kFourRows + ty * kFourRows +
           i % kFourRows;
  };
  const auto column_of = [&](int j) { return column + j * Shape::kThreadsX + tx * 4; };

  if constexpr (kFeature == Feature::extra) {
    const int64_t tiles = (p.extra.k + Shape::kDepth - 1) / Shape::kDepth;
    if (blockIdx.z == 0) {
      accumulate<Shape, kFeature>(p.extra, work.vectors.extra_a, work.vectors.extra_b, nullptr, row,
                                  p.m, column, p.n, 0, tiles, shared, sums);
      if (!p.extra_dropout.keeps_all()) {
#pragma unroll
        for (int i = 0; i < Shape::kRowsEach; ++i) {
#pragma unroll
          for (int j = 0; j < Shape::kColumnsEach; j += 4) {
            const float4 four = p.extra_dropout.apply(
                make_float4(sums[i][j], sums[i][j + 1], sums[i][j + 2], sums[i][j + 3]),
                static_cast<uint64_t>(row_of(i) * p.n + column_of(j)));
            sums[i][j] = four.x;
            sums[i][j + 1] = four.y;
            sums[i][j + 2] = four.z;
            sums[i][j + 3] = four.w;
          }
        }
      }
    }
  }
  const int64_t all_tiles = (p.term.k + Shape::kDepth - 1) / Shape::kDepth;
  int64_t begin = blockIdx.z * work.split_depth;
  int64_t end = begin + work.split_depth < all_tiles ? begin + work.split_depth : all_tiles;
  const int32_t* list = nullptr;
  if constexpr (kFeature == Feature::mask) {
    if (p.list.tiles != nullptr) {
      list = p.list.tiles + block.column * all_tiles;
      const int64_t count = p.list.counts[block.column];
      end = count < end ? count : end;
    }
  }
  accumulate<Shape, kFeature>(p.term, work.vectors.a, work.vectors.b, list, row, p.m, column, p.n,
                              begin, end, shared, sums);

#pragma unroll
  for (int i = 0; i < Shape::kRowsEach; ++i) {
    const int64_t r = row_of(i);
    if (r >= p.m) continue;
#pragma unroll
    for (int j = 0; j < Shape::kColumnsEach; j += 4) {
      const int64_t c = column_of(j);
      float* target = work.parts != nullptr ? work.parts + (blockIdx.z * p.m + r) * p.n + c
                                            : p.out.c + r * p.out.stride + c;
      if (work.parts == nullptr) {
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          if (c + e < p.n) sums[i][j + e] = finish(p.out, r, c + e, sums[i][j + e]);
        }
      }
      if (work.vectors.c && c + 4 <= p.n) {
        *reinterpret_cast<float4*>(target) =
            make_float4(sums[i][j], sums[i][j + 1], sums[i][j + 2], sums[i][j + 3]);
        continue;
      }
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        if (c + e >= p.n) continue;
        if (work.parts == nullptr && p.out.places != nullptr) {
          p.out.c[r * p.out.stride + p.out.places[c + e]] = sums[i][j + e];
        } else {
          target[e] = sums[i][j + e];
        }
      }
    }
  }
}

__global__ void add_parts_kernel(TileOutput out, int64_t m, int64_t n, const float* parts,
                                 int64_t splits) {
  for (int64_t i = blockIdx.y; i < m; i += gridDim.y) {
    for (int64_t j = global_thread(); j < n; j += global_threads()) {
      float sum = 0;
      for (int64_t split = 0; split < splits; ++split) sum += parts[(split * m + i) * n + j];
      out.c[i * out.stride + (out.places == nullptr ? j : out.places[j])] = finish(out, i, j, sum);
    }
  }
}

bool aligned(const void* data, size_t bytes) {
  return reinterpret_cast<uintptr_t>(data) % bytes == 0;
}

// True when four neighbours that begin at a multiple of four are one aligned vector.
bool reads_vectors(const TileFactor& f) {
  const bool listed = f.inner_contiguous ? f.inner_list != nullptr : f.outer_list != nullptr;
  return !listed && f.stride % 4 == 0 && aligned(f.data, 4 * size_of(f.dtype)) &&
         aligned(f.mask, 4);
}

template <class Shape, Feature kFeature>
Status run(CudaBackend& backend, const TileProduct& p) {
  const Splits splits = split_sums(backend, p, Shape::kRows, Shape::kColumns, Shape::kDepth);
  const Scratch<float> parts(backend, splits.part_elements(p));
  if (parts.data() == nullptr) return out_of_scratch();
  const bool split = splits.count > 1;
  const Work work{.product = p,
                  .vectors = {.a = reads_vectors(p.term.a),
                              .b = reads_vectors(p.term.b),
                              .extra_a = reads_vectors(p.extra.a),
                              .extra_b = reads_vectors(p.extra.b),
                              .c = split ? p.n % 4 == 0
                                         : p.out.places == nullptr && p.out.stride % 4 == 0 &&
                                               aligned(p.out.c, 16)},
                  .tile_rows = splits.tile_rows,
                  .tile_columns = splits.tile_columns,
                  .split_depth = splits.depth,
                  .parts = split ? parts.data() : nullptr};
  const Status status = launch(tile_product_kernel<Shape, kFeature>,
                               {.blocks = splits.blocks(),
                                .threads = Shape::kThreads,
                                .shared_bytes = 2 * Shape::kStage * sizeof(float)},
                               backend.stream(), work);
  if (!status.ok() || !split) return status;
  return add_parts(backend, p, parts.data(), splits.count);
}

// Calls `body` with the shape of tiles for a result of `m` by `n`.
template <class Body>
auto with_shape(const CudaBackend& backend, int64_t m, int64_t n, Body&& body) {
  if (m <= Flat::kRows) return body(Flat{});
  if (m <= Low::kRows) return body(Low{});
  if (n <= Tall::kColumns) return body(Tall{});
  const int64_t large = ceil_div(m, Large::kRows) * ceil_div(n, Large::kColumns);
  const bool fills = std::min(m, n) > Medium::kRows && large >= backend.multiprocessors();
  return fills ? body(Large{}) : body(Medium{});
}

template <Feature kFeature>
Status run_shape(CudaBackend& backend, const TileProduct& p) {
  return with_shape(backend, p.m, p.n,
                    [&](auto shape) { return run<decltype(shape), kFeature>(backend, p); });
}

}  // namespace

TileSize tile_size(const CudaBackend& backend, int64_t m, int64_t n) {
  return with_shape(backend, m, n, [](auto shape) {
    using Shape = decltype(shape);
    return TileSize{Shape::kRows, Shape::kColumns, Shape::kDepth};
  });
}

Splits split_sums(const CudaBackend& backend, const TileProduct& p, int64_t rows, int64_t columns,
                  int64_t depth) {
  // Fewer than this many of the inner index are not worth a split.
  constexpr int64_t kLeast = 256;
  const int64_t tile_rows = ceil_div(p.m, rows);
  const int64_t tile_columns = ceil_div(p.n, columns);
  const int64_t tiles = ceil_div(p.term.k, depth);
  const int64_t wanted = 2 * backend.multiprocessors() / (tile_rows * tile_columns);
  const int64_t most = std::max<int64_t>(1, p.term.k / kLeast);
  const int64_t each = std::max<int64_t>(1, ceil_div(tiles, std::clamp<int64_t>(wanted, 1, most)));
  return {.tile_rows = tile_rows,
          .tile_columns = tile_columns,
          .depth = each,
          .count = std::max<int64_t>(1, ceil_div(tiles, each))};
}

Status add_parts(CudaBackend& backend, const TileProduct& p, const float* parts, int64_t count) {
  return launch(add_parts_kernel, {.blocks = blocks_for_matrix(p.m, p.n, 256), .threads = 256},
                backend.stream(), p.out, p.m, p.n, parts, count);
}

Status tile_product(CudaBackend& backend, const TileProduct& p) {
  if (p.m == 0 || p.n == 0) return {};
  if (p.term.b.mask != nullptr) return run_shape<Feature::mask>(backend, p);
  if (!p.term.a.dropout.keeps_all() || !p.term.b.dropout.keeps_all()) {
    return run_shape<Feature::dropout>(backend, p);
  }
  if (p.extra.k > 0) return run_shape<Feature::extra>(backend, p);
  return run_shape<Feature::none>(backend, p);
}

}  // namespace espalier::cuda
