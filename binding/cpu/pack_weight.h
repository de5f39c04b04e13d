// Weights on their way into a product: widened, masked, and without the columns that are not kept.
#pragma once

#include <cstdint>

#include "binding/core/dtype.h"

namespace espalier::cpu {

/// Kept columns of a row of `width` weights.
struct ColumnSelection {
  int64_t width = 0;
  int64_t count = 0;              ///< how many are kept
  const int32_t* list = nullptr;  ///< their indices, increasing; null: all
  const uint8_t* keep = nullptr;  ///< one byte per column, 0 or 1; null when `list` is
};

/// Where a row of weights and of its mask begin; null stands for none.
struct WeightRow {
  const void* weights = nullptr;
  const uint8_t* mask = nullptr;  ///< one byte per column
};

/// target[i - begin] = row[kept column i] as f32 for i in [begin, end), or 0 where the row's mask
/// is 0. `next` is the row that will be asked for after this one: rows lie further apart than
/// hardware prefetchers follow, so it is fetched meanwhile. One thread.
void pack_row(const WeightRow& row, const WeightRow& next, DType dtype,
              const ColumnSelection& columns, int64_t begin, int64_t end, float* target);

}  // namespace espalier::cpu
