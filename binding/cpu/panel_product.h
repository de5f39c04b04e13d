// Products of packed panels: the inner part of a product whose operands are changed on the way in
// and out, which a library's product would take another copy for.
#pragma once

#include <cstdint>
#include <span>

namespace espalier::cpu {

/// Most columns of a strip of weights.
constexpr int64_t kStripColumns = 512;
/// Elements from one row of a strip to the next: not a power of two, so that rows do not displace
/// each other from the first cache.
constexpr int64_t kStripStride = kStripColumns + 16;

/// How this processor takes panels.
struct PanelShape {
  int64_t lanes;    ///< elements of a vector
  int64_t samples;  ///< of a panel of x: [columns, samples]
  int64_t rows;     ///< most rows of a strip of weights
};

/// The shape of panels on this processor.
PanelShape panel_shape();

/// Columns [begin, end) of a strip.
struct ColumnRange {
  int64_t begin;
  int64_t end;
};

/// panel[c, m] = x[m, c] for `count` rows of x at `stride`, 0 for the other samples of the panel.
/// One thread.
void transpose_panel(const float* x, int64_t stride, int64_t count, int64_t columns, float* panel);

/// sums[r, m] = Σ_c strip[r, c] · panel[c, m] over the columns in `ranges`, in their order, for
/// the first `count` samples of the panel (others are undefined); added to what `sums` holds with
/// `accumulate`. `rows` is 1 … panel_shape().rows. One thread.
void multiply_panel(const float* panel, int64_t count, const float* strip, int64_t rows,
                    std::span<const ColumnRange> ranges, float* sums, bool accumulate);

/// target[m, r] = sums[r, m] + bias[r] for `rows` of sums, rounded up to panel_shape().lanes: the
/// rest of `sums` and `bias` must be there, and target's `stride` have room. One thread.
void transpose_sums(const float* sums, int64_t rows, int64_t count, const float* bias,
                    float* target, int64_t stride);

/// target[i] = source[bases[i / lanes] + places[i]], 0 where places[i] is negative, for i in
/// [0, size); places lie below panel_shape().lanes, and so many elements are read from each base.
/// One thread.
void spread_row(const float* source, const int32_t* places, const int32_t* bases, int64_t size,
                float* target);

}  // namespace espalier::cpu
