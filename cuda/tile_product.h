// Products in f32 whose factors are gathered, masked, dropped or widened while they are loaded: the
// common core of multiply(), masked_matmul and lora_linear.
#pragma once

#include <cstdint>

#include "cuda/cuda_backend.h"
#include "cuda/device.h"
#include "cuda/philox.h"

namespace espalier::cuda {

/// One factor as the tile kernel reads it. "Outer" are the rows of the first factor and the columns
/// of the second, "inner" is the direction of the sums.
struct TileFactor {
  const void* data = nullptr;           ///< f32, bf16 or f16, widened exactly
  DType dtype = DType::f32;             ///< of data
  int64_t stride = 0;                   ///< elements from one stored row to the next
  bool inner_contiguous = true;         ///< stored [outer, inner]; else [inner, outer]
  const int32_t* outer_list = nullptr;  ///< where outer i is stored; null: at i
  const int32_t* inner_list = nullptr;  ///< where inner l is stored; null: at l
  const uint8_t* mask = nullptr;        ///< laid out like data: 0 where the element counts as 0
  DropoutMask dropout = {};             ///< by place in data, which then has no gaps
};

/// factor · a b, with a [m, k] and b [k, n].
struct TileTerm {
  TileFactor a;
  TileFactor b;
  int64_t k = 0;
  float factor = 1.0F;
};

/// Tiles of a sparse second factor: for each group of its columns that a block multiplies, those of
/// the inner indices that hold anything. Groups and tiles are of tile_size().
struct TileList {
  const int32_t* tiles = nullptr;   ///< [groups of columns, inner tiles], increasing in each row
  const int32_t* counts = nullptr;  ///< [groups of columns] listed tiles
};

/// Where results go: c[i, place(j)] = sum + beta c[i, place(j)] + bias[source(j)].
struct TileOutput {
  float* c = nullptr;
  int64_t stride = 0;                ///< elements from one row of c to the next
  float beta = 0.0F;                 ///< 0: c is not read
  const void* bias = nullptr;        ///< or null
  DType bias_dtype = DType::f32;     ///< of bias
  const int32_t* places = nullptr;   ///< place(j); null: j
  const int32_t* sources = nullptr;  ///< source(j); null: j
};

/// c = dropout(extra) + term + beta c + bias.
struct TileProduct {
  int64_t m = 0;
  int64_t n = 0;
  TileTerm term;
  TileTerm extra;             ///< a short product added to the other; k = 0: none
  DropoutMask extra_dropout;  ///< of extra's result, element (i, j) being number i n + j
  TileList list;              ///< of the term's b, or empty: all tiles
  TileOutput out;
};

/// Elements (i, j) of a result that the bias and the old c are added to.
__device__ inline float finish(const TileOutput& out, int64_t i, int64_t j, float sum) {
  if (out.bias != nullptr) {
    const int64_t at = out.sources == nullptr ? j : out.sources[j];
    sum += out.bias_dtype == DType::f32    ? static_cast<const float*>(out.bias)[at]
           : out.bias_dtype == DType::bf16 ? to_float(static_cast<const Bf16*>(out.bias)[at])
                                           : to_float(static_cast<const F16*>(out.bias)[at]);
  }
  if (out.beta != 0) {
    sum += out.beta * out.c[i * out.stride + (out.places == nullptr ? j : out.places[j])];
  }
  return sum;
}

/// A block's tile of the result.
struct BlockPlace {
  int64_t row;     ///< in tiles
  int64_t column;  ///< in tiles
};

/// The tile of block blockIdx.x. Blocks that run together share factors: they go through bands of
/// eight rows of tiles.
__device__ inline BlockPlace block_place(int64_t tile_rows, int64_t tile_columns) {
  constexpr int64_t kBand = 8;
  const int64_t band = blockIdx.x / (kBand * tile_columns);
  const int64_t in_band = blockIdx.x % (kBand * tile_columns);
  const int64_t left = tile_rows - band * kBand;
  const int64_t band_rows = left < kBand ? left : kBand;
  return {band * kBand + in_band % band_rows, in_band / band_rows};
}

/// a / b, rounded up.
inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// How the blocks of a product share its work.
struct Splits {
  int64_t tile_rows;     ///< tiles of the result, downwards
  int64_t tile_columns;  ///< and across
  int64_t depth;         ///< tiles of the inner index that a block sums
  int64_t count;         ///< blocks that share a tile of the result

  /// Elements of the memory for sums of parts; 0 where nothing is split.
  [[nodiscard]] size_t part_elements(const TileProduct& p) const {
    return static_cast<size_t>(count > 1 ? count * p.m * p.n : 0);
  }
  /// The grid.
  [[nodiscard]] dim3 blocks() const {
    return {static_cast<unsigned>(tile_rows * tile_columns), 1, static_cast<unsigned>(count)};
  }
};

/// Splits sums where the tiles of the result, of `rows` by `columns`, do not fill the card; `depth`
/// are the inner indices of a tile.
Splits split_sums(const CudaBackend& backend, const TileProduct& product, int64_t rows,
                  int64_t columns, int64_t depth);

/// Queues the sum of `count` parts [count, m, n] in order, and what follows it.
Status add_parts(CudaBackend& backend, const TileProduct& product, const float* parts,
                 int64_t count);

/// What a block multiplies.
struct TileSize {
  int64_t rows;     ///< of the result
  int64_t columns;  ///< of the result
  int64_t depth;    ///< inner indices at a time
};

/// The tiles in which tile_product() makes a result of `m` by `n`.
TileSize tile_size(const CudaBackend& backend, int64_t m, int64_t n);

/// Queues the product. How sums are split depends on m, n, k and the card alone, so that the bits
/// do too.
Status tile_product(CudaBackend& backend, const TileProduct& product);

}  // namespace espalier::cuda
