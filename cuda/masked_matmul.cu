// Masked product: y = x (W ∘ M)ᵀ + b on the kept rows of W, exact zeros on the others (or only the
// kept rows, compact). x: [M, K] f32, or [M, |columns|] when it holds the kept columns already; W:
// [N, K] and b: [N] f32, bf16 or f16; kept rows and columns as increasing index lists; a dense mask
// as u8 [N, K]. Sums are f32. What is masked takes no part: an infinity or NaN there does not reach
// the result.
//
// The lists are followed while tiles are loaded, so that the work is that of the kept rows times
// the kept columns. For a dense mask, a first kernel lists the tiles of W that hold anything; the
// product loads only those and clears the masked weights on the way to shared memory.
#include "cuda/cublaslt.h"
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

// Samples from which on copies are small beside the product.
constexpr int64_t kManySamples = 256;

// target[i, j] = source[place(i), place(j)], bit for bit.
template <class Bits>
__global__ void gather_kernel(const Bits* source, int64_t source_stride, const int32_t* rows,
                              int64_t row_count, const int32_t* columns, int64_t column_count,
                              Bits* target, int64_t target_stride) {
  for (int64_t i = blockIdx.y; i < row_count; i += gridDim.y) {
    const Bits* from = source + place(rows, i) * source_stride;
    for (int64_t j = global_thread(); j < column_count; j += global_threads()) {
      target[i * target_stride + j] = from[place(columns, j)];
    }
  }
}

// ranks[rows[i]] = i.
__global__ void rank_kernel(const int32_t* rows, int64_t count, int32_t* ranks) {
  for (int64_t i = global_thread(); i < count; i += global_threads()) {
    ranks[rows[i]] = static_cast<int32_t>(i);
  }
}

// y[:, n] = compact[:, ranks[n]], or 0 where the rank is negative.
__global__ void spread_kernel(const float* compact, int64_t kept, const int32_t* ranks,
                              int64_t samples, int64_t width, float* y) {
  for (int64_t i = blockIdx.y; i < samples; i += gridDim.y) {
    for (int64_t j = global_thread(); j < width; j += global_threads()) {
      y[i * width + j] = ranks[j] < 0 ? 0.0F : compact[i * kept + ranks[j]];
    }
  }
}

// The kept rows and columns of a matrix, in its own type: the matrix itself where all are kept.
class Gathered {
 public:
  Gathered(CudaBackend& backend, const void* data, DType dtype, int64_t stride, const int32_t* rows,
           int64_t row_count, const int32_t* columns, int64_t column_count)
      : backend_(backend),
        source_(data),
        dtype_(dtype),
        source_stride_(stride),
        rows_(rows),
        row_count_(row_count),
        columns_(columns),
        column_count_(column_count),
        in_place_(rows == nullptr && columns == nullptr),
        stride_(in_place_ ? stride : (column_count + 7) / 8 * 8),
        copy_(backend, in_place_ ? 0 : static_cast<size_t>(row_count * stride_) * size_of(dtype)) {}

  // Queues the copy if there has to be one.
  Status prepare() {
    if (copy_.data() == nullptr) return out_of_scratch();
    if (in_place_) return {};
    return size_of(dtype_) == 4 ? copy<uint32_t>() : copy<uint16_t>();
  }

  [[nodiscard]] const void* data() const { return in_place_ ? source_ : copy_.data(); }
  [[nodiscard]] Factor factor(bool transposed) const {
    return {.data = data(), .dtype = dtype_, .stride = stride_, .transposed = transposed};
  }

 private:
  template <class Bits>
  Status copy() {
    return launch(gather_kernel<Bits>,
                  {.blocks = blocks_for_matrix(row_count_, column_count_, 256), .threads = 256},
                  backend_.stream(), static_cast<const Bits*>(source_), source_stride_, rows_,
                  row_count_, columns_, column_count_, reinterpret_cast<Bits*>(copy_.data()),
                  stride_);
  }

  CudaBackend& backend_;
  const void* source_;
  DType dtype_;
  int64_t source_stride_;
  const int32_t* rows_;
  int64_t row_count_;
  const int32_t* columns_;
  int64_t column_count_;
  bool in_place_;
  int64_t stride_;
  Scratch<unsigned char> copy_;
};

Status check_lists(CudaBackend& backend, const MaskedMatmulArguments& a) {
  if (a.rows.given()) {
    Status status = check_increasing(backend, "rows", a.rows, a.weight.shape[0]);
    if (!status.ok()) return status;
  }
  if (!a.columns.given()) return {};
  return check_increasing(backend, "columns", a.columns, a.weight.shape[1]);
}

// The product of what is kept, copied together.
Status multiply_gathered(CudaBackend& backend, const MaskedMatmulArguments& a, const int32_t* rows,
                         int64_t row_count, const int32_t* columns, int64_t column_count) {
  const int64_t samples = a.output.shape.rows();
  const int64_t width = a.output.shape.columns();
  const int64_t x_width = a.x.shape.columns();
  const bool spreads = rows != nullptr && !a.compact;
  Gathered x(backend, a.x.data, DType::f32, x_width, nullptr, samples,
             x_width == column_count ? nullptr : columns, column_count);
  Gathered w(backend, a.weight.data, a.weight.dtype, a.weight.shape[1], rows, row_count, columns,
             column_count);
  Gathered bias(backend, a.bias.data, a.bias.dtype, row_count, nullptr, 1,
                a.bias.given() ? rows : nullptr, row_count);
  const Scratch<float> compact(backend, static_cast<size_t>(spreads ? samples * row_count : 0));
  const Scratch<int32_t> ranks(backend, static_cast<size_t>(spreads ? width : 0));
  if (compact.data() == nullptr || ranks.data() == nullptr) return out_of_scratch();
  for (Gathered* part : {&x, &w, &bias}) {
    if (Status status = part->prepare(); !status.ok()) return status;
  }
  const Status product = multiply(
      backend, {.m = samples,
                .n = row_count,
                .k = column_count,
                .a = x.factor(false),
                .b = w.factor(true),
                .c = spreads ? compact.data() : a.output.as<float>(),
                .c_stride = row_count,
                .bias = {.data = bias.data(), .dtype = a.bias.dtype, .shape = {row_count}}});
  if (!product.ok() || !spreads) return product;
  if (Status status = fill_bytes(backend.stream(), ranks.data(), 0xff,
                                 static_cast<size_t>(width) * sizeof(int32_t));
      !status.ok()) {
    return status;
  }
  const Status ranked = launch(rank_kernel, {.blocks = blocks_for(row_count, 256), .threads = 256},
                               backend.stream(), rows, row_count, ranks.data());
  if (!ranked.ok()) return ranked;
  return launch(spread_kernel, {.blocks = blocks_for_matrix(samples, width, 256), .threads = 256},
                backend.stream(), static_cast<const float*>(compact.data()), row_count,
                static_cast<const int32_t*>(ranks.data()), samples, width, a.output.as<float>());
}

// The product on lists that have been found good; null where everything is kept. Leaves what is not
// kept as it is.
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
  const Status searched = launch(
      find_tiles_kernel, {.blocks = blocks_for(groups * depth, kWarps), .threads = 32 * kWarps},
      backend.stream(), a.mask.as<uint8_t>(), a.weight.shape[1], rows, row_count, columns,
      column_count, size, groups, found.data());
  if (!searched.ok()) return searched;
  const Status listed =
      launch(list_tiles_kernel, {.blocks = blocks_for(groups, kWarps), .threads = 32 * kWarps},
             backend.stream(), static_cast<const uint8_t*>(found.data()), depth, groups,
             tiles.data(), counts.data());
  if (!listed.ok()) return listed;
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
  const int32_t* row_list = rows < n ? a.rows.as<int32_t>() : nullptr;
  const int32_t* column_list = columns < k ? a.columns.as<int32_t>() : nullptr;
  const int64_t samples = a.output.shape.rows();
  const bool listed = row_list != nullptr || column_list != nullptr;
  if (listed && !a.mask.given() && samples >= kManySamples &&
      cublaslt().wants(samples, rows, columns)) {
    return multiply_gathered(*this, a, row_list, rows, column_list, columns);
  }
  if (rows < n && !a.compact) {
    if (Status status = clear(a.output); !status.ok()) return status;
  }
  return multiply_kept(*this, a, row_list, rows, column_list, columns);
}

}  // namespace espalier::cuda
