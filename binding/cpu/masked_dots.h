// Products of a few masked rows of weights, read in place, with a few samples.
#pragma once

#include <cstdint>

#include "binding/core/dtype.h"
#include "binding/cpu/pack_weight.h"

namespace espalier::cpu {

/// Most rows, and most samples, of a tile.
constexpr int64_t kTileSide = 4;

/// What masked_dots() multiplies.
struct DotsTile {
  WeightRow rows[kTileSide];      ///< the first dots_rows() of them; all with a mask, or none
  DType dtype;                    ///< of the weights
  const uint8_t* keep = nullptr;  ///< one byte per column, 0 masks it in all rows; null: none
  const float* x = nullptr;       ///< [samples, width]
  int64_t samples = 0;            ///< 1 … kTileSide
  int64_t width = 0;              ///< columns
  float* sums = nullptr;          ///< [dots_rows(), samples], the result
};

/// How many rows a tile has on this processor.
int64_t dots_rows();

/// sums[r, m] = Σ_c rows[r][c] · x[m, c] over the columns that are not masked in the row; masked
/// weights count as 0, whatever they are. One thread.
void masked_dots(const DotsTile& tile);

}  // namespace espalier::cpu
