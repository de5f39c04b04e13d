// Masked product: y = x (W ∘ M)ᵀ + b on the kept rows of W, exact zeros on the others (or only the
// kept rows, compact). x: [M, K] f32, or [M, |columns|] when it holds the kept columns already; W:
// [N, K] and b: [N] f32, bf16 or f16; kept rows and columns as increasing index lists; a dense mask
// as u8 [N, K]. Sums are f32. What is masked takes no part: an infinity or NaN there does not reach
// the result.
//
// The lists are followed while tiles are loaded, so that the work is that of the kept rows times
// the kept columns. For a dense mask, a first kernel lists the tiles of W that hold anything; the
// product loads only those and clears the masked weights on the way to shared memory.
#include "cuda/cuda_backend.h"
#include "cuda/device.h"
#include "cuda/indices.h"
#include "cuda/launch.h"
#include "cuda/product.h"
#include "cuda/scratch.h"
#include "cuda/tile_product.h"

namespace espalier::cuda {
namespace {

constexpr int kWarps = 8;

// Where kept row or column i stands.
__device__ inline int64_t place(const int32_t* list, int64_t i) {
  return list == nullptr ? i : int64_t{list[i]};
}

// found[group, tile] = whether the tile of W holds anything, for groups of size.columns kept rows
// and tiles of size.depth kept columns. A warp looks through a tile, its lanes side by side along
// rows of the mask.
__global__ void find_tiles_kernel(const uint8_t* mask, int64_t width, const int32_t* rows,
                                  int64_t row_count, const int32_t* columns, int64_t column_count,
                                  TileSize size, int64_t groups, uint8_t* found) {
  const int64_t tiles = (column_count + size.depth - 1) / size.depth;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int64_t warps = int64_t{gridDim.x} * kWarps;
  for (int64_t at = int64_t{blockIdx.x} * kWarps + threadIdx.x / 32; at < groups * tiles;
       at += warps) {
    const int64_t row = at / tiles * size.columns;
    const int64_t column = at % tiles * size.depth;
    bool any = false;
    for (int64_t i = lane; i < size.columns * size.depth; i += 32) {
      const int64_t r = row + i / size.depth;
      const int64_t c = column + i % size.depth;
      if (r < row_count && c < column_count) {
        any |= mask[place(rows, r) * width + place(columns, c)] != 0;
      }
    }
    any = __any_sync(kAllLanes, any ? 1 : 0) != 0;
    if (lane == 0) found[at] = any ? 1 : 0;
  }
}

// The found tiles of each group, in order. A warp lists a group.
__global__ void list_tiles_kernel(const uint8_t* found, int64_t tiles, int64_t groups,
                                  int32_t* list, int32_t* counts) {
  const unsigned lane = threadIdx.x % 32;
  const int64_t warps = int64_t{gridDim.x} * kWarps;
  for (int64_t group = int64_t{blockIdx.x} * kWarps + threadIdx.x / 32; group < groups;
       group += warps) {
    int32_t count = 0;
    for (int64_t first = 0; first < tiles; first += 32) {
      const int64_t tile = first + lane;
      const bool keep = tile < tiles && found[group * tiles + tile] != 0;
      const unsigned kept = __ballot_sync(kAllLanes, keep ? 1 : 0);
      if (keep) {
        const int before = __popc(kept & ((1U << lane) - 1));
        list[group * tiles + count + before] = static_cast<int32_t>(tile);
      }
      count += __popc(kept);
    }
    if (lane == 0) counts[group] = count;
  }
}

Status check_lists(CudaBackend& backend, const MaskedMatmulArguments& a) {
  if (a.rows.given()) {
    Status status = check_increasing(backend, "rows", a.rows, a.weight.shape[0]);
    if (!status.ok()) return status;
  }
  if (!a.columns.given()) return {};
  return check_increasing(backend, "columns", a.columns, a.weight.shape[1]);
}

// The product on lists that have been found good; null where everything is kept.
Status multiply_kept(CudaBackend& backend, const MaskedMatmulArguments& a, const int32_t* rows,
                     int64_t row_count, const int32_t* columns, int64_t column_count) {
  const int64_t x_width = a.x.shape.columns();
  TileProduct product{.m = a.output.shape.rows(),
                      .n = row_count,
                      .term = {.a = {.data = a.x.data,
                                     .stride = x_width,
                                     .inner_list = x_width == column_count ? nullptr : columns},
                               .b = {.data = a.weight.data,
                                     .dtype = a.weight.dtype,
                                     .stride = a.weight.shape[1],
                                     .outer_list = rows,
                                     .inner_list = columns,
                                     .mask = a.mask.given() ? a.mask.as<uint8_t>() : nullptr},
                               .k = column_count},
                      .extra = {},
                      .extra_dropout = {},
                      .list = {},
                      .out = {.c = a.output.as<float>(),
                              .stride = a.output.shape.columns(),
                              .bias = a.bias.data,
                              .bias_dtype = a.bias.dtype,
                              .places = a.compact ? nullptr : rows,
                              .sources = rows}};
  if (!a.mask.given()) return multiply(backend, product, Products::f32);
  const TileSize size = tile_size(backend, product.m, row_count);
  const int64_t groups = ceil_div(row_count, size.columns);
  const int64_t depth = ceil_div(column_count, size.depth);
  const Scratch<uint8_t> found(backend, static_cast<size_t>(groups * depth));
  const Scratch<int32_t> tiles(backend, static_cast<size_t>(groups * depth));
  const Scratch<int32_t> counts(backend, static_cast<size_t>(groups));
  if (found.data() == nullptr || tiles.data() == nullptr || counts.data() == nullptr) {
    return out_of_scratch();
  }
  Status status = launch(find_tiles_kernel,
                         {.blocks = blocks_for(groups * depth, kWarps), .threads = 32 * kWarps},
                         backend.stream(), a.mask.as<uint8_t>(), a.weight.shape[1], rows, row_count,
                         columns, column_count, size, groups, found.data());
  if (!status.ok()) return status;
  status = launch(list_tiles_kernel, {.blocks = blocks_for(groups, kWarps), .threads = 32 * kWarps},
                  backend.stream(), static_cast<const uint8_t*>(found.data()), depth, groups,
                  tiles.data(), counts.data());
  if (!status.ok()) return status;
  product.list = {tiles.data(), counts.data()};
  return multiply(backend, product, Products::f32);
}

}  // namespace

Status CudaBackend::masked_matmul(const MaskedMatmulArguments& a) {
  if (Status status = check_lists(*this, a); !status.ok()) return status;
  if (a.output.shape.elements() == 0) return {};
  const int64_t n = a.weight.shape[0];
  const int64_t k = a.weight.shape[1];
  // A list of everything is no list.
  const int64_t rows = a.rows.given() ? a.rows.shape.elements() : n;
  int64_t columns = a.columns.given() ? a.columns.shape.elements() : k;
  // No column is kept: an empty list has no address and looks like one that was not given.
  if (a.x.shape.columns() == 0) columns = 0;
  if (rows < n && !a.compact) {
    if (Status status = clear(a.output); !status.ok()) return status;
  }
  return multiply_kept(*this, a, rows < n ? a.rows.as<int32_t>() : nullptr, rows,
                       columns < k ? a.columns.as<int32_t>() : nullptr, columns);
}

}  // namespace espalier::cuda
