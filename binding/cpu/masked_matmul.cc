// Masked product: y = x (W ∘ M)ᵀ + b on the kept rows of W, exact zeros on the others (or only the
// kept rows, compact). x: [M, K] f32, or [M, |columns|] when it holds the kept columns already; W:
// [N, K] and b: [N] f32, bf16 or f16; kept rows and columns as increasing index lists; a dense mask
// as u8 [N, K]. What is masked takes no part: an infinity or NaN there does not reach the result.
//
// A product has to copy its operands into panels anyway, so selecting rows and columns, widening
// and masking happen on that copy, and rows find their places when sums leave. Threads share the
// panels of x and wait for each other once, when those are packed; each then takes a part of the
// kept rows through: a block of weights stays in its second cache while all samples pass.
#include <omp.h>

#include <algorithm>
#include <array>

#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/few_samples.h"
#include "binding/cpu/indices.h"
#include "binding/cpu/pack_weight.h"
#include "binding/cpu/panel_product.h"
#include "binding/cpu/scratch.h"
#include "binding/cpu/weight_product.h"
#include "binding/cpu/widen.h"

namespace espalier::cpu {
namespace {

// Samples that go through together: enough to make a block's copy cheap beside its product, few
// enough that its sums stay in the second cache with it.
constexpr int64_t kSamples = 512;
// Strips of a block of weights.
constexpr int64_t kStrips = 8;
// Columns of a dense mask that are skipped when nothing is kept in them over a whole strip.
constexpr int64_t kChunk = 64;
// Multiply-adds below which threads cost more than they bring.
constexpr int64_t kParallelWork = int64_t{1} << 17;

// Part `i` of `count` items split evenly into `parts`.
int64_t part(int64_t count, int64_t i, int64_t parts) { return count * i / parts; }

int64_t ceiling(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Temporaries of one thread.
struct Buffers {
  float* strips;   // a block of weights
  float* sums;     // [panels][rows of a block][samples of a panel]
  float* results;  // one panel's, [samples of a panel][rows of a block, and a vector]
  float* bias;     // of a block
  int32_t* places;
  int32_t* bases;
};

// A strip of weights as it lies in its buffer.
struct Strip {
  int64_t first;  // kept row, within the block
  int64_t rows;
  std::array<ColumnRange, kStripColumns / kChunk> ranges;
  size_t range_count;
};

class MaskedProduct {
 public:
  MaskedProduct(const MaskedMatmulArguments& a, const int32_t* rows, int64_t row_count,
                const ColumnSelection& columns)
      : a_(a),
        rows_(rows),
        row_count_(row_count),
        columns_(columns),
        samples_(a.output.shape.rows()),
        output_width_(a.output.shape.columns()),
        gather_x_(columns.list != nullptr && a.x.shape.columns() != columns.count),
        shape_(panel_shape()),
        block_rows_(ceiling(kStrips * shape_.rows, shape_.lanes) * shape_.lanes) {}

  Status run() {
    if (row_count_ == 0) {
      std::fill_n(a_.output.as<float>(), a_.output.shape.elements(), 0.0F);
      return {};
    }
    const auto threads = static_cast<int64_t>(omp_get_max_threads());
    const int64_t panels = ceiling(std::min(samples_, kSamples), shape_.samples);
    const int64_t strips = kStrips * shape_.rows * kStripStride;
    const int64_t sums = panels * block_rows_ * shape_.samples;
    const int64_t results = shape_.samples * results_stride();
    const int64_t own = strips + sums + results + block_rows_;
    const int64_t indices = 2 * output_width_ + shape_.lanes;
    const Scratch<float> x(static_cast<size_t>(panels * shape_.samples * width()));
    const Scratch<float> values(static_cast<size_t>(threads * own));
    const Scratch<int32_t> places(static_cast<size_t>(threads * indices));
    if (x.data() == nullptr || values.data() == nullptr || places.data() == nullptr) {
      return out_of_scratch();
    }
    for (int64_t sample = 0; sample < samples_; sample += kSamples) {
      const int64_t count = std::min(kSamples, samples_ - sample);
#pragma omp parallel if (count * row_count_ * width() > kParallelWork)
      {
        const int64_t thread = omp_get_thread_num();
        const int64_t team = omp_get_num_threads();
        float* mine = values.data() + thread * own;
        const Buffers buffers{.strips = mine,
                              .sums = mine + strips,
                              .results = mine + strips + sums,
                              .bias = mine + strips + sums + results,
                              .places = places.data() + thread * indices,
                              .bases = places.data() + thread * indices + output_width_};
        pack_samples(sample, count, buffers, x.data());
        const int64_t first = part(row_count_, thread, team);
        const int64_t rows = part(row_count_, thread + 1, team) - first;
        // Whole vectors of rows, as far as possible, leave for y without a detour.
        const int64_t vectors = ceiling(rows, shape_.lanes);
        const int64_t blocks = ceiling(vectors * shape_.lanes, kStrips * shape_.rows);
        for (int64_t i = 0; i < blocks; ++i) {
          const int64_t begin = part(vectors, i, blocks) * shape_.lanes;
          const int64_t end = std::min(rows, part(vectors, i + 1, blocks) * shape_.lanes);
          block(first + begin, first + end, sample, count, x.data(), buffers);
        }
      }
    }
    return {};
  }

 private:
  [[nodiscard]] int64_t width() const { return columns_.count; }
  [[nodiscard]] int64_t row(int64_t i) const { return rows_ == nullptr ? i : rows_[i]; }
  [[nodiscard]] int64_t results_stride() const { return block_rows_ + shape_.lanes; }

  // Panels of x, by all threads together.
  void pack_samples(int64_t sample, int64_t count, const Buffers& buffers, float* target) const {
    const int64_t stride = a_.x.shape.columns();
#pragma omp for collapse(2) schedule(static)
    for (int64_t first = 0; first < count; first += shape_.samples) {
      for (int64_t begin = 0; begin < width(); begin += kStripColumns) {
        const int64_t end = std::min(width(), begin + kStripColumns);
        const int64_t rows = std::min(shape_.samples, count - first);
        const float* x = a_.x.as<float>() + (sample + first) * stride;
        float* panel = target + first * width() + begin * shape_.samples;
        if (!gather_x_) {
          transpose_panel(x + begin, stride, rows, end - begin, panel);
          continue;
        }
        for (int64_t m = 0; m < rows; ++m) {
          pack_row({.weights = x + m * stride}, {}, DType::f32, columns_, begin, end,
                   buffers.strips + m * kStripStride);
        }
        transpose_panel(buffers.strips, kStripStride, rows, end - begin, panel);
      }
    }
  }

  // Kept rows [i, end) for `count` samples.
  void block(int64_t i, int64_t end, int64_t sample, int64_t count, const float* x,
             const Buffers& buffers) const {
    const int64_t rows = end - i;
    const int64_t strip_count = ceiling(rows, shape_.rows);
    std::array<Strip, kStrips> strips;
    for (int64_t begin = 0; begin == 0 || begin < width(); begin += kStripColumns) {
      const int64_t columns = std::min(width(), begin + kStripColumns);
      for (int64_t s = 0; s < strip_count; ++s) {
        Strip& strip = strips[static_cast<size_t>(s)];
        strip.first = part(rows, s, strip_count);
        strip.rows = part(rows, s + 1, strip_count) - strip.first;
        pack_strip(i + strip.first, begin, columns, strip, strip_at(buffers, s));
      }
      for (int64_t first = 0; first < count; first += shape_.samples) {
        for (int64_t s = 0; s < strip_count; ++s) {
          const Strip& strip = strips[static_cast<size_t>(s)];
          if (begin > 0 && strip.range_count == 0) continue;
          multiply_panel(x + first * width() + begin * shape_.samples, count - first,
                         strip_at(buffers, s), strip.rows, {strip.ranges.data(), strip.range_count},
                         buffers.sums + first * block_rows_ + strip.first * shape_.samples,
                         begin > 0);
        }
      }
    }
    finish(i, end, sample, count, buffers);
  }

  [[nodiscard]] float* strip_at(const Buffers& buffers, int64_t s) const {
    return buffers.strips + s * shape_.rows * kStripStride;
  }

  // The i-th kept row.
  [[nodiscard]] WeightRow weight_row(int64_t i) const {
    const int64_t start = row(i) * a_.weight.shape[1];
    return {.weights = weight_at(a_.weight.data, a_.weight.dtype, start),
            .mask = a_.mask.given() ? a_.mask.as<uint8_t>() + start : nullptr};
  }

  // Columns [begin, end) of the strip's rows, which begin with the i-th kept one.
  void pack_strip(int64_t i, int64_t begin, int64_t end, Strip& strip, float* target) const {
    find_ranges(i, begin, end, strip);
    for (int64_t r = 0; r < strip.rows; ++r) {
      const WeightRow next = r + 1 < strip.rows ? weight_row(i + r + 1) : WeightRow{};
      for (size_t k = 0; k < strip.range_count; ++k) {
        const ColumnRange range = strip.ranges[k];
        pack_row(weight_row(i + r), next, a_.weight.dtype, columns_, begin + range.begin,
                 begin + range.end, target + r * kStripStride + range.begin);
      }
    }
  }

  // Which of the strip's columns [begin, end) take part, relative to `begin`.
  void find_ranges(int64_t i, int64_t begin, int64_t end, Strip& strip) const {
    strip.range_count = 0;
    if (!a_.mask.given() || columns_.list != nullptr) {
      if (begin < end) strip.ranges[strip.range_count++] = {0, end - begin};
      return;
    }
    for (int64_t c = begin; c < end; c += kChunk) {
      const int64_t stop = std::min(end, c + kChunk);
      if (!keeps_any(i, strip.rows, c, stop)) continue;
      if (strip.range_count > 0 && strip.ranges[strip.range_count - 1].end == c - begin) {
        strip.ranges[strip.range_count - 1].end = stop - begin;
      } else {
        strip.ranges[strip.range_count++] = {c - begin, stop - begin};
      }
    }
  }

  [[nodiscard]] bool keeps_any(int64_t i, int64_t rows, int64_t begin, int64_t end) const {
    for (int64_t r = 0; r < rows; ++r) {
      const uint8_t* mask = weight_row(i + r).mask;
      uint8_t seen = 0;
      for (int64_t c = begin; c < end; ++c) seen |= mask[c];
      if (seen != 0) return true;
    }
    return false;
  }

  // Sums of kept rows [i, end) to their places in y, and zeros where none was kept up to the place
  // of row `end`.
  void finish(int64_t i, int64_t end, int64_t sample, int64_t count, const Buffers& buffers) const {
    const int64_t rows = end - i;
    const bool spreads = rows_ != nullptr && !a_.compact;
    int64_t begin = i;
    int64_t size = rows;
    if (spreads) {
      begin = i == 0 ? 0 : row(i);
      size = (end == row_count_ ? output_width_ : row(end)) - begin;
      find_places(i, rows, begin, size, buffers);
    }
    for (int64_t r = 0; r < block_rows_; ++r) {
      buffers.bias[r] = 0;
      if (!a_.bias.given() || r >= rows) continue;
      widen(weight_at(a_.bias.data, a_.bias.dtype, row(i + r)), a_.bias.dtype, 1, buffers.bias + r);
    }
    for (int64_t first = 0; first < count; first += shape_.samples) {
      const int64_t left = std::min(shape_.samples, count - first);
      const float* sums = buffers.sums + first * block_rows_;
      float* y = a_.output.as<float>() + (sample + first) * output_width_ + begin;
      if (!spreads && rows % shape_.lanes == 0) {
        transpose_sums(sums, rows, left, buffers.bias, y, output_width_);
        continue;
      }
      transpose_sums(sums, rows, left, buffers.bias, buffers.results, results_stride());
      for (int64_t m = 0; m < left; ++m, y += output_width_) {
        const float* source = buffers.results + m * results_stride();
        if (spreads) {
          spread_row(source, buffers.places, buffers.bases, size, y);
        } else {
          std::copy_n(source, rows, y);
        }
      }
    }
  }

  // What spread_row() asks for, for output columns [begin, begin + size).
  void find_places(int64_t i, int64_t rows, int64_t begin, int64_t size,
                   const Buffers& buffers) const {
    int64_t next = 0;
    int64_t base = 0;
    for (int64_t o = 0; o < size; ++o) {
      if (o % shape_.lanes == 0)
        buffers.bases[o / shape_.lanes] = static_cast<int32_t>(base = next);
      const bool kept = next < rows && row(i + next) == begin + o;
      buffers.places[o] = kept ? static_cast<int32_t>(next++ - base) : -1;
    }
  }

  const MaskedMatmulArguments& a_;
  const int32_t* rows_;
  int64_t row_count_;
  ColumnSelection columns_;
  int64_t samples_;
  int64_t output_width_;
  bool gather_x_;
  PanelShape shape_;
  int64_t block_rows_;
};

Status check_lists(const MaskedMatmulArguments& a) {
  if (a.rows.given()) {
    Status status = check_increasing("rows", a.rows, a.weight.shape[0]);
    if (!status.ok()) return status;
  }
  return a.columns.given() ? check_increasing("columns", a.columns, a.weight.shape[1]) : Status();
}

}  // namespace

Status CpuBackend::masked_matmul(const MaskedMatmulArguments& a) {
  if (Status status = check_lists(a); !status.ok()) return status;
  if (a.output.shape.elements() == 0) return {};
  const int64_t n = a.weight.shape[0];
  const int64_t k = a.weight.shape[1];
  // A list of everything is no list.
  const int64_t rows = a.rows.given() ? a.rows.shape.elements() : n;
  ColumnSelection columns{.width = k, .count = a.columns.given() ? a.columns.shape.elements() : k};
  // No column is kept: an empty list has no address and looks like one that was not given.
  if (a.x.shape.columns() == 0) columns.count = 0;
  if (rows == n && columns.count == k && !a.mask.given()) {
    return weight_product(a.x.as<float>(), a.output.shape.rows(), a.weight, a.bias,
                          a.output.as<float>());
  }
  const bool selects = columns.count < k;
  const Scratch<uint8_t> keep(static_cast<size_t>(selects ? k : 0));
  if (keep.data() == nullptr) return out_of_scratch();
  if (selects) {
    columns.list = a.columns.as<int32_t>();
    columns.keep = keep.data();
    std::fill_n(keep.data(), k, uint8_t{0});
    for (int64_t i = 0; i < columns.count; ++i) keep.data()[columns.list[i]] = 1;
  }
  const int32_t* list = rows < n ? a.rows.as<int32_t>() : nullptr;
  if (a.output.shape.rows() <= kFewSamples) return few_samples(a, list, rows, columns);
  return MaskedProduct(a, list, rows, columns).run();
}

}  // namespace espalier::cpu
