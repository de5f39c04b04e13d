// A dense mask seen as tiles that can be skipped.
#pragma once

#include <cstdint>

#include "binding/core/tensor.h"

namespace espalier::cpu {

/// Rows of a tile.
constexpr int64_t kTileRows = 64;
/// Columns of a tile.
constexpr int64_t kTileColumns = 256;

/// What a tile of a mask holds.
enum class Tile : uint8_t { empty, partial, full };

/// How many tiles cover `size` positions when one covers `tile`.
constexpr int64_t tiles_over(int64_t size, int64_t tile) { return (size + tile - 1) / tile; }

/// Classifies the tiles of a u8 mask [N, K] into tiles [tiles over N, tiles over K].
void classify_tiles(const ConstView& mask, Tile* tiles);

}  // namespace espalier::cpu
