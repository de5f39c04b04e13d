// Products in f32 whose factors are gathered, masked, dropped or widened while they are loaded: the
// common core of multiply(), masked_matmul and lora_linear.
#pragma once

#include <cstdint>

#include "cuda/cuda_backend.h"
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

/// Tiles of a sparse second factor: for each kTileSparseOuter of its columns, which
/// kTileSparseInner of the inner indices hold anything.
struct TileList {
  const int32_t* tiles = nullptr;   ///< [groups of columns, inner tiles], increasing in each row
  const int32_t* counts = nullptr;  ///< [groups of columns] listed tiles
};
/// Columns of the second factor that a TileList speaks of together.
constexpr int64_t kTileSparseOuter = 64;
/// Inner indices of a tile in a TileList.
constexpr int64_t kTileSparseInner = 16;

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

/// Queues the product. How sums are split depends on m, n, k and the card alone, so that the bits
/// do too.
Status tile_product(CudaBackend& backend, const TileProduct& product);

}  // namespace espalier::cuda
