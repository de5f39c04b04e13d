// With few samples a copy of the weights costs more than their product, so kept rows are read in
// place with their mask applied. Columns that are not kept are zeros in a copy of x, and masked in
// the weights, where an infinity may stand.
#include "binding/cpu/few_samples.h"

#include <algorithm>

#include "binding/cpu/masked_dots.h"
#include "binding/cpu/scratch.h"
#include "binding/cpu/widen.h"

namespace espalier::cpu {
namespace {

// Multiply-adds below which threads cost more than they bring.
constexpr int64_t kParallelWork = int64_t{1} << 17;

// x with zeros at the columns that are not kept.
void expand(const MaskedMatmulArguments& a, const ColumnSelection& columns, float* target) {
  const int64_t given = a.x.shape.columns();
  std::fill_n(target, a.output.shape.rows() * columns.width, 0.0F);
  for (int64_t m = 0; m < a.output.shape.rows(); ++m) {
    const float* x = a.x.as<float>() + m * given;
    for (int64_t i = 0; i < columns.count; ++i) {
      const int64_t c = columns.list[i];
      target[m * columns.width + c] = x[given == columns.width ? c : i];
    }
  }
}

}  // namespace

Status few_samples(const MaskedMatmulArguments& a, const int32_t* rows, int64_t row_count,
                   const ColumnSelection& columns) {
  const int64_t samples = a.output.shape.rows();
  const int64_t output_width = a.output.shape.columns();
  const int64_t width = columns.width;
  const bool selects = columns.count < width;
  const Scratch<float> expanded(static_cast<size_t>(selects ? samples * width : 0));
  if (expanded.data() == nullptr) return out_of_scratch();
  if (selects) expand(a, columns, expanded.data());
  const float* x = selects ? expanded.data() : a.x.as<float>();
  auto* y = a.output.as<float>();
  if (rows != nullptr && !a.compact) std::fill_n(y, samples * output_width, 0.0F);
  const int64_t tall = dots_rows();
#pragma omp parallel for schedule(static) if (samples * row_count * width > kParallelWork)
  for (int64_t first = 0; first < row_count; first += tall) {
    float sums[kTileSide * kTileSide];
    float bias[kTileSide] = {};
    int64_t places[kTileSide];
    DotsTile tile{.rows = {},
                  .dtype = a.weight.dtype,
                  .keep = columns.keep,
                  .x = x,
                  .samples = 0,
                  .width = width,
                  .sums = sums};
    for (int64_t r = 0; r < tall; ++r) {
      // A tile at the end repeats its last row.
      const int64_t i = std::min(row_count - 1, first + r);
      const int64_t row = rows == nullptr ? i : rows[i];
      places[r] = a.compact ? i : row;
      tile.rows[r] = {.weights = weight_at(a.weight.data, a.weight.dtype, row * width),
                      .mask = a.mask.given() ? a.mask.as<uint8_t>() + row * width : nullptr};
      if (a.bias.given()) {
        widen(weight_at(a.bias.data, a.bias.dtype, row), a.bias.dtype, 1, bias + r);
      }
    }
    for (int64_t m = 0; m < samples; m += kTileSide) {
      tile.x = x + m * width;
      tile.samples = std::min(kTileSide, samples - m);
      masked_dots(tile);
      for (int64_t r = 0; r < tall; ++r) {
        for (int64_t s = 0; s < tile.samples; ++s) {
          y[(m + s) * output_width + places[r]] = sums[r * tile.samples + s] + bias[r];
        }
      }
    }
  }
  return {};
}

}  // namespace espalier::cpu
