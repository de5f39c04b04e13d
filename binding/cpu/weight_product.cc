#include "binding/cpu/weight_product.h"

#include <algorithm>
#include <optional>
#include <type_traits>
#include <vector>

#include "binding/cpu/amx_blocks.h"
#include "binding/cpu/gemm.h"
#include "binding/cpu/round_bf16.h"
#include "binding/cpu/scratch.h"
#include "binding/cpu/widen.h"

namespace espalier::cpu {
namespace {

Status product(const Gemm& g) { return gemm(g); }
Status product(const GemmBf16& g) { return gemm_bf16(g); }

bool rounds(Products products) { return products == Products::bf16 && has_fast_bf16(); }

// Activations as products take them: as they are, or rounded to bf16 once for all products.
class Activations {
 public:
  Activations(const float* values, int64_t count, Products kind) : values_(values) {
    if (!rounds(kind)) return;
    rounded_.emplace(static_cast<size_t>(count));
    if (ok()) round_to_bf16(values, DType::f32, count, rounded_->data());
  }

  // False when memory for the rounded values ran out.
  [[nodiscard]] bool ok() const { return !rounded_ || rounded_->data() != nullptr; }
  // body(values), in the type that they are multiplied in.
  template <class Body>
  Status with(Body&& body) const {
    return rounded_ ? body(static_cast<const uint16_t*>(rounded_->data())) : body(values_);
  }

 private:
  const float* values_;
  std::optional<Scratch<uint16_t>> rounded_;
};

// Calls `body(first row, rows, weights)` for panels of rows of the weight, as elements of the same
// type as `like`; converted into scratch unless they are stored so. Ends at the first failure.
template <class Element, class Body>
Status for_panels(const ConstView& weight, const Element* /*like*/, Body&& body) {
  constexpr bool kWide = std::is_same_v<Element, float>;
  const bool direct = weight.dtype == (kWide ? DType::f32 : DType::bf16);
  const int64_t n = weight.shape[0];
  const int64_t k = weight.shape[1];
  const auto row_bytes = std::max<int64_t>(1, k) * int64_t{sizeof(float)};
  // bf16 ones need no room, so only widened products go through in panels.
  const int64_t panel =
      direct && !kWide ? n : std::min(n, std::max<int64_t>(1, kPanelBytes / row_bytes));
  std::optional<Scratch<Element>> scratch;
  if (!direct) {
    scratch.emplace(static_cast<size_t>(panel * k));
    if (scratch->data() == nullptr) return out_of_scratch();
  }
  for (int64_t start = 0; start < n; start += panel) {
    const int64_t count = std::min(panel, n - start);
    const void* source = weight_at(weight.data, weight.dtype, start * k);
    if (scratch) {
      if constexpr (kWide) {
        widen_parallel(source, weight.dtype, count * k, scratch->data());
      } else {
        round_to_bf16(source, weight.dtype, count * k, scratch->data());
      }
      source = scratch->data();
    }
    Status status = body(start, count, static_cast<const Element*>(source));
    if (!status.ok()) return status;
  }
  return {};
}

}  // namespace

void fill_with_bias(const ConstView& bias, int64_t start, int64_t count, int64_t rows,
                    int64_t stride, float* target) {
  if (rows == 0) return;
  if (bias.given()) {
    widen(weight_at(bias.data, bias.dtype, start), bias.dtype, count, target);
  } else {
    std::fill_n(target, count, 0.0F);
  }
#pragma omp parallel for schedule(static) if (rows * count > 65536)
  for (int64_t row = 1; row < rows; ++row) std::copy_n(target, count, target + row * stride);
}

Status multiply_weights(const float* x, int64_t rows, std::span<const WeightProduct> products,
                        Products kind) {
  if (rows == 0) return {};
  const bool rounded = rounds(kind);
  std::vector<WeightProduct> blocks;
  std::vector<WeightProduct> rest;
  for (const WeightProduct& p : products) {
    const int64_t n = p.weight.shape[0];
    const int64_t k = p.weight.shape[1];
    const bool fits = rounded ? suits_amx_blocks(rows, n, k) : suits_blocks(rows, n, k);
    (fits ? blocks : rest).push_back(p);
  }
  if (!blocks.empty()) {
    Status status =
        rounded ? multiply_amx_blocks(x, rows, blocks) : multiply_blocks(x, rows, blocks);
    if (!status.ok()) return status;
  }
  if (rest.empty()) return {};
  const Activations activations(x, rows * rest.front().weight.shape[1], kind);
  if (!activations.ok()) return out_of_scratch();
  for (const WeightProduct& p : rest) {
    const int64_t n = p.weight.shape[0];
    const int64_t k = p.weight.shape[1];
    Status status = activations.with([&]<class Element>(const Element* a) {
      return for_panels(p.weight, a, [&](int64_t start, int64_t count, const Element* w) {
        return product(MatrixProduct<Element>{.transpose_b = true,
                                              .m = rows,
                                              .n = count,
                                              .k = k,
                                              .a = a,
                                              .lda = k,
                                              .b = w,
                                              .ldb = k,
                                              .c = p.y + start,
                                              .ldc = n,
                                              .accumulate = p.accumulate});
      });
    });
    if (!status.ok()) return status;
  }
  return {};
}

Status weight_product(const float* x, int64_t rows, const ConstView& weight, const ConstView& bias,
                      float* y, Products products) {
  const int64_t n = weight.shape[0];
  if (rows == 0 || n == 0) return {};
  if (bias.given()) fill_with_bias(bias, 0, n, rows, n, y);
  const WeightProduct one{.weight = weight, .y = y, .accumulate = bias.given()};
  return multiply_weights(x, rows, {&one, 1}, products);
}

Status input_gradient(const float* dy, int64_t rows, const ConstView& weight, float* dx,
                      bool accumulate, Products products) {
  const int64_t n = weight.shape[0];
  const int64_t k = weight.shape[1];
  if (rows == 0 || k == 0) return {};
  if (n == 0) {
    if (!accumulate) std::fill_n(dx, rows * k, 0.0F);
    return {};
  }
  const Activations gradient(dy, rows * n, products);
  if (!gradient.ok()) return out_of_scratch();
  return gradient.with([&]<class Element>(const Element* a) {
    return for_panels(weight, a, [&](int64_t start, int64_t count, const Element* w) {
      return product(MatrixProduct<Element>{.m = rows,
                                            .n = k,
                                            .k = count,
                                            .a = a + start,
                                            .lda = n,
                                            .b = w,
                                            .ldb = k,
                                            .c = dx,
                                            .ldc = k,
                                            .accumulate = accumulate || start > 0});
    });
  });
}

Status weight_gradient(const float* dy, const float* x, int64_t rows, int64_t n, int64_t k,
                       float* dw, Products products) {
  if (n == 0 || k == 0) return {};
  const auto multiply = [&]<class Element>(const Element* a, const Element* b) {
    return product(MatrixProduct<Element>{.transpose_a = true,
                                          .m = n,
                                          .n = k,
                                          .k = rows,
                                          .a = a,
                                          .lda = n,
                                          .b = b,
                                          .ldb = k,
                                          .c = dw,
                                          .ldc = k});
  };
  if (!rounds(products)) return multiply(dy, x);
  const Scratch<uint16_t> rounded(static_cast<size_t>(rows * (n + k)));
  if (rounded.data() == nullptr) return out_of_scratch();
  uint16_t* b = rounded.data() + rows * n;
  round_to_bf16(dy, DType::f32, rows * n, rounded.data());
  round_to_bf16(x, DType::f32, rows * k, b);
  return multiply(static_cast<const uint16_t*>(rounded.data()), static_cast<const uint16_t*>(b));
}

}  // namespace espalier::cpu
