// Rows of tiles with the same empty columns form a group; within a group each run of columns that
// are not empty is one product, added to the result. So a mask without structure costs one copy of
// the weights and a dense product, and one of blocks costs what its blocks do.
#include "binding/cpu/tile_product.h"

#include <algorithm>

#include "binding/cpu/gemm.h"
#include "binding/cpu/mask_tiles.h"
#include "binding/cpu/pack_weight.h"
#include "binding/cpu/scratch.h"
#include "binding/cpu/weight_product.h"
#include "binding/cpu/widen.h"

namespace espalier::cpu {
namespace {

// Products of single tile rows run below the speed of large ones; with more of the tiles than this
// to compute, skipping the others does not pay.
constexpr double kSkipBelow = 0.8;

struct Columns {
  int64_t begin;
  int64_t end;
};

class TileProduct {
 public:
  TileProduct(const MaskedMatmulArguments& a, Tile* tiles, float* panel)
      : a_(a),
        tiles_(tiles),
        panel_(panel),
        samples_(a.output.shape.rows()),
        n_(a.weight.shape[0]),
        k_(a.weight.shape[1]),
        down_(tiles_over(n_, kTileRows)),
        across_(tiles_over(k_, kTileColumns)) {}

  Status run() {
    classify_tiles(a_.mask, tiles_);
    const int64_t count = down_ * across_;
    const auto empty = std::count(tiles_, tiles_ + count, Tile::empty);
    if (static_cast<double>(count - empty) > kSkipBelow * static_cast<double>(count)) {
      std::replace(tiles_, tiles_ + count, Tile::empty, Tile::partial);
    }
    for (int64_t begin = 0; begin < down_;) {
      int64_t end = begin + 1;
      while (end < down_ && (end - begin) * kTileRows < kPackRows && same_pattern(begin, end))
        ++end;
      if (Status status = group(begin, end); !status.ok()) return status;
      begin = end;
    }
    return {};
  }

 private:
  [[nodiscard]] Tile tile(int64_t r, int64_t c) const { return tiles_[r * across_ + c]; }

  [[nodiscard]] bool same_pattern(int64_t r1, int64_t r2) const {
    for (int64_t c = 0; c < across_; ++c) {
      if ((tile(r1, c) == Tile::empty) != (tile(r2, c) == Tile::empty)) return false;
    }
    return true;
  }

  // Tile rows [begin, end), all with the same empty tiles.
  Status group(int64_t begin, int64_t end) {
    const int64_t row = begin * kTileRows;
    const int64_t rows = std::min(n_, end * kTileRows) - row;
    bool accumulate = a_.bias.given();
    float* y = a_.output.as<float>() + row;
    if (accumulate) fill_with_bias(a_.bias, row, rows, samples_, n_, y);
    for (int64_t c = 0; c < across_; ++c) {
      if (tile(begin, c) == Tile::empty) continue;
      bool full = true;
      const int64_t first = c;
      for (; c < across_ && tile(begin, c) != Tile::empty; ++c) {
        for (int64_t r = begin; r < end; ++r) full = full && tile(r, c) == Tile::full;
      }
      const Columns columns{first * kTileColumns, std::min(k_, c * kTileColumns)};
      Status status = block(row, rows, columns, full, accumulate);
      if (!status.ok()) return status;
      accumulate = true;
    }
    if (!accumulate) fill_with_bias({}, row, rows, samples_, n_, y);
    return {};
  }

  Status block(int64_t row, int64_t rows, Columns columns, bool full, bool accumulate) {
    Gemm product{.transpose_b = true,
                 .m = samples_,
                 .n = rows,
                 .k = columns.end - columns.begin,
                 .a = a_.x.as<float>() + columns.begin,
                 .lda = k_,
                 .b = a_.weight.as<float>() + row * k_ + columns.begin,
                 .ldb = k_,
                 .c = a_.output.as<float>() + row,
                 .ldc = n_,
                 .accumulate = accumulate};
    if (full && a_.weight.dtype == DType::f32 && product.k == k_) return gemm(product);
    product.b = panel_;
    product.ldb = kPackColumns;
    for (int64_t c = columns.begin; c < columns.end; c += kPackColumns) {
      const int64_t end = std::min(columns.end, c + kPackColumns);
      pack(row, rows, {c, end}, full);
      product.a = a_.x.as<float>() + c;
      product.k = end - c;
      if (Status status = gemm(product); !status.ok()) return status;
      product.accumulate = true;
    }
    return {};
  }

  [[nodiscard]] WeightRow weight_row(int64_t row, bool full) const {
    return {.weights = weight_at(a_.weight.data, a_.weight.dtype, row * k_),
            .mask = full ? nullptr : a_.mask.as<uint8_t>() + row * k_};
  }

  void pack(int64_t row, int64_t rows, Columns columns, bool full) {
    const ColumnSelection all{.width = k_, .count = k_};
#pragma omp parallel for schedule(static) if (rows * (columns.end - columns.begin) > 16384)
    for (int64_t r = 0; r < rows; ++r) {
      const WeightRow next = r + 1 < rows ? weight_row(row + r + 1, full) : WeightRow{};
      pack_row(weight_row(row + r, full), next, a_.weight.dtype, all, columns.begin, columns.end,
               panel_ + r * kPackColumns);
    }
  }

  const MaskedMatmulArguments& a_;
  Tile* tiles_;
  float* panel_;
  int64_t samples_;
  int64_t n_;
  int64_t k_;
  int64_t down_;
  int64_t across_;
};

}  // namespace

Status tile_product(const MaskedMatmulArguments& a) {
  const int64_t n = a.weight.shape[0];
  const int64_t k = a.weight.shape[1];
  if (k == 0) {
    fill_with_bias(a.bias, 0, n, a.output.shape.rows(), n, a.output.as<float>());
    return {};
  }
  const Scratch<float> weights(static_cast<size_t>(kPackRows * kPackColumns));
  const Scratch<Tile> tiles(
      static_cast<size_t>(tiles_over(n, kTileRows) * tiles_over(k, kTileColumns)));
  if (weights.data() == nullptr || tiles.data() == nullptr) return out_of_scratch();
  return TileProduct(a, tiles.data(), weights.data()).run();
}

}  // namespace espalier::cpu
