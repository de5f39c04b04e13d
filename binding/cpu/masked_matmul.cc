// Masked product: y = x (W ∘ M)ᵀ + b on the kept rows of W, exact zeros on the others (or only the
// kept rows, compact). x: [M, K] f32, or [M, |columns|] when it holds the kept columns already; W:
// [N, K] and b: [N] f32, bf16 or f16; kept rows and columns as increasing index lists; a dense mask
// as u8 [N, K]. What is masked takes no part: an infinity or NaN there does not reach the result.
//
// Kept rows go through in panels, copied without the columns that are not kept, and the panel's
// product is spread over its rows' places. Panels of consecutive rows need neither copy nor spread.
#include <algorithm>

#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/gemm.h"
#include "binding/cpu/indices.h"
#include "binding/cpu/pack_weight.h"
#include "binding/cpu/scratch.h"
#include "binding/cpu/tile_product.h"
#include "binding/cpu/weight_product.h"
#include "binding/cpu/widen.h"

namespace espalier::cpu {
namespace {

// Samples that go through together: enough to make a panel's copy cheap beside its product.
constexpr int64_t kSamples = 2048;
// Runs of consecutive kept rows from this length on are products of their own, in place.
constexpr int64_t kRun = 128;
// oneDNN's product of wide rows is a fifth faster when their stride is a multiple of this; rows of
// a gathered x are spaced so.
constexpr int64_t kStride = 256;
// With more of the rows than this kept, the others are computed too and zeroed.
constexpr double kDenseAbove = 0.95;

// Temporaries, sized for the largest panel.
struct Buffers {
  float* weights;
  float* products;
  float* bias;
  float* x;
};

int64_t spaced(int64_t width) {
  return width < kStride ? width : (width + kStride - 1) / kStride * kStride;
}

class GatheredProduct {
 public:
  GatheredProduct(const MaskedMatmulArguments& a, const int32_t* rows, int64_t row_count,
                  const ColumnSelection& columns)
      : a_(a),
        rows_(rows),
        row_count_(row_count),
        columns_(columns),
        samples_(a.output.shape.rows()),
        output_width_(a.output.shape.columns()),
        gather_x_(columns.list != nullptr && a.x.shape.columns() != columns.count),
        panel_(std::min(row_count, kPackRows)),
        stride_(gather_x_ ? spaced(columns.count) : columns.count) {}

  Status run() {
    const Scratch<float> weights(static_cast<size_t>(kPackRows * kPackColumns));
    const Scratch<float> products(static_cast<size_t>(std::min(samples_, kSamples) * panel_));
    const Scratch<float> bias(static_cast<size_t>(panel_));
    const Scratch<float> x(
        static_cast<size_t>(gather_x_ ? std::min(samples_, kSamples) * stride_ : 0));
    if (weights.data() == nullptr || products.data() == nullptr || bias.data() == nullptr ||
        x.data() == nullptr) {
      return out_of_scratch();
    }
    const Buffers buffers{weights.data(), products.data(), bias.data(), x.data()};
    for (int64_t sample = 0; sample < samples_; sample += kSamples) {
      Status status = block(buffers, sample, std::min(kSamples, samples_ - sample));
      if (!status.ok()) return status;
    }
    return {};
  }

 private:
  [[nodiscard]] int64_t width() const { return columns_.count; }
  [[nodiscard]] int64_t row(int64_t i) const { return rows_ == nullptr ? i : rows_[i]; }

  // A place in the output: the row itself, or its rank among the kept ones.
  [[nodiscard]] int64_t place(int64_t i) const { return a_.compact ? i : row(i); }

  // Rows of the panel that begins with the i-th kept row: a run of consecutive ones when it is long
  // enough, otherwise as many as fit.
  [[nodiscard]] int64_t panel_at(int64_t i) const {
    const int64_t most = std::min(panel_, row_count_ - i);
    int64_t run = 1;
    while (run < most && row(i + run) == row(i) + run) ++run;
    return run >= kRun ? run : most;
  }

  Status block(const Buffers& buffers, int64_t sample, int64_t count) {
    const float* x = a_.x.as<float>() + sample * a_.x.shape.columns();
    if (gather_x_) {
      const ConstView& source = a_.x;
#pragma omp parallel for schedule(static) if (count * width() > 16384)
      for (int64_t m = 0; m < count; ++m) {
        pack_row({.weights = x + m * source.shape.columns()}, {}, DType::f32, columns_, 0, width(),
                 buffers.x + m * stride_);
      }
      x = buffers.x;
    }
    float* y = a_.output.as<float>() + sample * output_width_;
    int64_t next = 0;
    for (int64_t i = 0; i < row_count_;) {
      const int64_t rows = panel_at(i);
      if (Status status = panel(buffers, x, count, i, rows, y, next); !status.ok()) return status;
      i += rows;
      next = place(i - 1) + 1;
    }
    clear(y, count, next, output_width_);
    return {};
  }

  // Kept rows [i, i + rows); columns of y before `next` are done.
  Status panel(const Buffers& buffers, const float* x, int64_t count, int64_t i, int64_t rows,
               float* y, int64_t next) {
    const bool consecutive = row(i + rows - 1) - row(i) == rows - 1;
    const bool direct = consecutive || a_.compact;
    Gemm product{.transpose_b = true,
                 .m = count,
                 .n = rows,
                 .k = width(),
                 .a = x,
                 .lda = std::max<int64_t>(1, stride_),
                 .b = buffers.weights,
                 .ldb = kPackColumns,
                 .c = direct ? y + place(i) : buffers.products,
                 .ldc = direct ? output_width_ : rows,
                 .accumulate = a_.bias.given()};
    if (direct) clear(y, count, next, place(i));
    if (a_.bias.given()) {
      gather_bias(i, rows, buffers.bias);
      fill_with_bias({.data = buffers.bias, .dtype = DType::f32, .shape = {rows}}, 0, rows, count,
                     product.ldc, product.c);
    }
    Status status;
    if (consecutive && columns_.list == nullptr && !a_.mask.given() &&
        a_.weight.dtype == DType::f32) {
      product.b = a_.weight.as<float>() + row(i) * width();
      product.ldb = std::max<int64_t>(1, width());
      status = gemm(product);
    } else {
      status = packed(product, i, buffers.weights);
    }
    if (status.ok() && !direct) spread(buffers.products, count, i, rows, y, next);
    return status;
  }

  // The product with kept rows from i on, their weights packed a block of columns at a time.
  Status packed(Gemm product, int64_t i, float* weights) const {
    const float* x = product.a;
    for (int64_t begin = 0; begin == 0 || begin < width(); begin += kPackColumns) {
      const int64_t end = std::min(width(), begin + kPackColumns);
      pack(i, product.n, begin, end, weights);
      product.a = x + begin;
      product.k = end - begin;
      if (Status status = gemm(product); !status.ok()) return status;
      product.accumulate = true;
    }
    return {};
  }

  // The i-th kept row.
  [[nodiscard]] WeightRow weight_row(int64_t i) const {
    const int64_t start = row(i) * a_.weight.shape[1];
    return {.weights = weight_at(a_.weight.data, a_.weight.dtype, start),
            .mask = a_.mask.given() ? a_.mask.as<uint8_t>() + start : nullptr};
  }

  void pack(int64_t i, int64_t rows, int64_t begin, int64_t end, float* target) const {
#pragma omp parallel for schedule(static) if (rows * (end - begin) > 16384)
    for (int64_t r = 0; r < rows; ++r) {
      pack_row(weight_row(i + r), r + 1 < rows ? weight_row(i + r + 1) : WeightRow{},
               a_.weight.dtype, columns_, begin, end, target + r * kPackColumns);
    }
  }

  void gather_bias(int64_t i, int64_t rows, float* target) const {
    for (int64_t r = 0; r < rows; ++r) {
      widen(weight_at(a_.bias.data, a_.bias.dtype, row(i + r)), a_.bias.dtype, 1, target + r);
    }
  }

  // y[:, row(i + r)] = products[:, r], zeros between them from column `next` on.
  void spread(const float* products, int64_t count, int64_t i, int64_t rows, float* y,
              int64_t next) const {
    const int64_t end = row(i + rows - 1) + 1;
    const int32_t* list = rows_ + i;
#pragma omp parallel for schedule(static) if (count * rows > 16384)
    for (int64_t m = 0; m < count; ++m) {
      float* target = y + m * output_width_;
      const float* source = products + m * rows;
      std::fill(target + next, target + end, 0.0F);
      for (int64_t r = 0; r < rows; ++r) target[list[r]] = source[r];
    }
  }

  void clear(float* y, int64_t count, int64_t begin, int64_t end) const {
    if (begin >= end) return;
#pragma omp parallel for schedule(static) if (count * (end - begin) > 65536)
    for (int64_t m = 0; m < count; ++m) {
      std::fill(y + m * output_width_ + begin, y + m * output_width_ + end, 0.0F);
    }
  }

  const MaskedMatmulArguments& a_;
  const int32_t* rows_;
  int64_t row_count_;
  ColumnSelection columns_;
  int64_t samples_;
  int64_t output_width_;
  bool gather_x_;
  int64_t panel_;
  int64_t stride_;  // of x
};

// All rows, then zeros over those that are not kept.
Status dense_then_clear(const MaskedMatmulArguments& a) {
  const int64_t n = a.weight.shape[0];
  const int64_t kept = a.rows.shape.elements();
  const Scratch<int32_t> masked(static_cast<size_t>(n - kept));
  if (masked.data() == nullptr) return out_of_scratch();
  const auto* rows = a.rows.as<int32_t>();
  int32_t next = 0;
  int64_t count = 0;
  for (int64_t i = 0; i < kept; next = rows[i++] + 1) {
    while (next < rows[i]) masked.data()[count++] = next++;
  }
  while (count < n - kept) masked.data()[count++] = next++;
  Status status = weight_product(a.x.as<float>(), a.output.shape.rows(), a.weight, a.bias,
                                 a.output.as<float>());
  if (!status.ok()) return status;
#pragma omp parallel for schedule(static) if (a.output.shape.elements() > 65536)
  for (int64_t m = 0; m < a.output.shape.rows(); ++m) {
    float* y = a.output.as<float>() + m * n;
    for (int64_t i = 0; i < count; ++i) y[masked.data()[i]] = 0;
  }
  return {};
}

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
  if (rows == n && columns.count == k) {
    if (a.mask.given()) return tile_product(a);
    return weight_product(a.x.as<float>(), a.output.shape.rows(), a.weight, a.bias,
                          a.output.as<float>());
  }
  const bool rows_only = columns.count == k && !a.mask.given() && !a.compact;
  if (rows_only && static_cast<double>(rows) > kDenseAbove * static_cast<double>(n)) {
    return dense_then_clear(a);
  }
  const bool selects = a.columns.given() && columns.count < k;
  const Scratch<uint8_t> keep(static_cast<size_t>(selects ? k : 0));
  if (keep.data() == nullptr) return out_of_scratch();
  if (selects) {
    columns.list = a.columns.as<int32_t>();
    columns.keep = keep.data();
    std::fill_n(keep.data(), k, uint8_t{0});
    for (int64_t i = 0; i < columns.count; ++i) keep.data()[columns.list[i]] = 1;
  }
  return GatheredProduct(a, rows < n ? a.rows.as<int32_t>() : nullptr, rows, columns).run();
}

}  // namespace espalier::cpu
