// Masked product: y = x (W ∘ M)ᵀ + b on the kept rows of W, exact zeros on the others (or only the
// kept rows, compact). x: [M, K] f32, or [M, |columns|] when it holds the kept columns already; W:
// [N, K] and b: [N] f32, bf16 or f16; kept rows and columns as increasing index lists; a dense mask
// as u8 [N, K].
//
// What is masked takes no part: an infinity or NaN there does not reach the result.
#include <algorithm>
#include <optional>

#include "binding/cpu/convert.h"
#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/gemm.h"
#include "binding/cpu/indices.h"
#include "binding/cpu/scratch.h"
#include "binding/cpu/weight_product.h"
#include "binding/cpu/widen.h"

namespace espalier::cpu {
namespace {

// The product's sizes: what is kept of W, and how x lies.
struct Problem {
  const MaskedMatmulArguments& a;
  int64_t samples;  // M
  int64_t rows;     // kept rows of W
  int64_t columns;  // kept columns of W
  const int32_t* row_list;
  const int32_t* column_list;

  explicit Problem(const MaskedMatmulArguments& arguments)
      : a(arguments),
        samples(arguments.output.shape.rows()),
        rows(a.rows.given() ? a.rows.shape.elements() : a.weight.shape[0]),
        columns(a.columns.given() ? a.columns.shape.elements() : a.weight.shape[1]),
        row_list(a.rows.given() ? a.rows.as<int32_t>() : nullptr),
        column_list(a.columns.given() ? a.columns.as<int32_t>() : nullptr) {
    // Widths without memory cannot be told from "not given": no column is kept.
    if (a.x.shape.columns() == 0) columns = 0;
  }

  int64_t row(int64_t i) const { return row_list == nullptr ? i : row_list[i]; }
};

// target[i] = W[row, kept column i] or 0 where the mask says so.
template <class W>
void pack_row(const Problem& p, int64_t row, float* target) {
  const int64_t k = p.a.weight.shape[1];
  const W* source = p.a.weight.as<W>() + row * k;
  const uint8_t* mask = p.a.mask.given() ? p.a.mask.as<uint8_t>() + row * k : nullptr;
  for (int64_t i = 0; i < p.columns; ++i) {
    const int64_t c = p.column_list == nullptr ? i : p.column_list[i];
    target[i] = mask == nullptr || mask[c] != 0 ? convert<float>(source[c]) : 0.0F;
  }
}

void pack_rows(const Problem& p, int64_t start, int64_t count, float* target) {
  with_element_type(p.a.weight.dtype, [&](auto w) {
#pragma omp parallel for schedule(static) if (count * p.columns > 16384)
    for (int64_t i = 0; i < count; ++i) {
      pack_row<decltype(w)>(p, p.row(start + i), target + i * p.columns);
    }
  });
}

// y[:, row(start + i)] = panel[:, i] + bias, and zeros in the gaps from `from` to `to`.
void scatter(const Problem& p, const float* panel, int64_t start, int64_t count, const float* bias,
             int64_t from, int64_t to) {
  const int64_t width = p.a.output.shape.columns();
#pragma omp parallel for schedule(static) if (p.samples * count > 16384)
  for (int64_t m = 0; m < p.samples; ++m) {
    float* y = p.a.output.as<float>() + m * width;
    int64_t next = from;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t target = p.a.compact ? start + i : p.row(start + i);
      for (; next < target; ++next) y[next] = 0;
      y[next++] = panel[m * count + i] + (bias == nullptr ? 0.0F : bias[i]);
    }
    for (; next < to; ++next) y[next] = 0;
  }
}

Status masked_product(const Problem& p) {
  const int64_t width = p.a.output.shape.columns();
  const auto row_bytes = std::max<int64_t>(1, p.columns) * int64_t{sizeof(float)};
  const int64_t panel = std::min(p.rows, std::max<int64_t>(1, kPanelBytes / row_bytes));
  const Scratch<float> weights(static_cast<size_t>(panel * p.columns));
  const Scratch<float> products(static_cast<size_t>(p.samples * panel));
  const Scratch<float> bias(static_cast<size_t>(panel));
  const bool gather_x = p.column_list != nullptr && p.a.x.shape.columns() != p.columns;
  const Scratch<float> gathered(static_cast<size_t>(gather_x ? p.samples * p.columns : 0));
  if (weights.data() == nullptr || products.data() == nullptr || bias.data() == nullptr ||
      gathered.data() == nullptr) {
    return out_of_scratch();
  }
  const auto* x = p.a.x.as<float>();
  if (gather_x) {
    const int64_t k = p.a.x.shape.columns();
#pragma omp parallel for schedule(static)
    for (int64_t m = 0; m < p.samples; ++m) {
      for (int64_t i = 0; i < p.columns; ++i) {
        gathered.data()[m * p.columns + i] = x[m * k + p.column_list[i]];
      }
    }
    x = gathered.data();
  }
  int64_t next = 0;
  for (int64_t start = 0; start < p.rows; start += panel) {
    const int64_t count = std::min(panel, p.rows - start);
    pack_rows(p, start, count, weights.data());
    Status status = gemm({.transpose_b = true,
                          .m = p.samples,
                          .n = count,
                          .k = p.columns,
                          .a = x,
                          .lda = p.columns,
                          .b = weights.data(),
                          .ldb = p.columns,
                          .c = products.data(),
                          .ldc = count});
    if (!status.ok()) return status;
    if (p.a.bias.given()) {
      for (int64_t i = 0; i < count; ++i) {
        widen(weight_at(p.a.bias.data, p.a.bias.dtype, p.row(start + i)), p.a.bias.dtype, 1,
              bias.data() + i);
      }
    }
    const bool last = start + count == p.rows;
    const int64_t end = last ? width : p.a.compact ? start + count : p.row(start + count - 1) + 1;
    scatter(p, products.data(), start, count, p.a.bias.given() ? bias.data() : nullptr, next, end);
    next = end;
  }
  return {};
}

}  // namespace

Status CpuBackend::masked_matmul(const MaskedMatmulArguments& arguments) {
  const Shape& weight = arguments.weight.shape;
  if (arguments.rows.given()) {
    Status status = check_increasing("rows", arguments.rows, weight[0]);
    if (!status.ok()) return status;
  }
  if (arguments.columns.given()) {
    Status status = check_increasing("columns", arguments.columns, weight[1]);
    if (!status.ok()) return status;
  }
  if (arguments.output.shape.elements() == 0) return {};
  return masked_product(Problem(arguments));
}

}  // namespace espalier::cpu
