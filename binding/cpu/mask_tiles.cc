#include "binding/cpu/mask_tiles.h"

#include <algorithm>

namespace espalier::cpu {
namespace {

Tile classify(const uint8_t* mask, int64_t stride, int64_t rows, int64_t columns) {
  bool any = false;
  bool all = true;
  for (int64_t row = 0; row < rows && (!any || all); ++row) {
    uint8_t seen = 0;
    uint8_t missing = 0;
    for (int64_t c = 0; c < columns; ++c) {
      seen |= mask[row * stride + c];
      missing |= mask[row * stride + c] == 0 ? 1 : 0;
    }
    any = any || seen != 0;
    all = all && missing == 0;
  }
  if (!any) return Tile::empty;
  return all ? Tile::full : Tile::partial;
}

}  // namespace

void classify_tiles(const ConstView& mask, Tile* tiles) {
  const int64_t n = mask.shape[0];
  const int64_t k = mask.shape[1];
  const int64_t across = tiles_over(k, kTileColumns);
#pragma omp parallel for collapse(2) schedule(static) if (n * k > 65536)
  for (int64_t r = 0; r < n; r += kTileRows) {
    for (int64_t c = 0; c < k; c += kTileColumns) {
      tiles[r / kTileRows * across + c / kTileColumns] =
          classify(mask.as<uint8_t>() + r * k + c, k, std::min(kTileRows, n - r),
                   std::min(kTileColumns, k - c));
    }
  }
}

}  // namespace espalier::cpu
