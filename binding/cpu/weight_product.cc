#include "binding/cpu/weight_product.h"

#include <algorithm>
#include <optional>

#include "binding/cpu/gemm.h"
#include "binding/cpu/scratch.h"
#include "binding/cpu/widen.h"

namespace espalier::cpu {

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

Status weight_product(const float* x, int64_t rows, const ConstView& weight, const ConstView& bias,
                      float* y) {
  const int64_t n = weight.shape[0];
  const int64_t k = weight.shape[1];
  if (rows == 0 || n == 0) return {};
  if (bias.given() || k == 0) fill_with_bias(bias, 0, n, rows, n, y);
  if (k == 0) return {};
  const auto row_bytes = k * static_cast<int64_t>(sizeof(float));
  const int64_t panel = std::min(n, std::max<int64_t>(1, kPanelBytes / row_bytes));
  std::optional<Scratch<float>> scratch;
  if (weight.dtype != DType::f32) {
    scratch.emplace(static_cast<size_t>(panel * k));
    if (scratch->data() == nullptr) return out_of_scratch();
  }
  for (int64_t start = 0; start < n; start += panel) {
    const int64_t count = std::min(panel, n - start);
    const float* w = weight.as<float>() + start * k;
    if (scratch) {
      widen_parallel(weight_at(weight.data, weight.dtype, start * k), weight.dtype, count * k,
                     scratch->data());
      w = scratch->data();
    }
    Status status = gemm({.transpose_b = true,
                          .m = rows,
                          .n = count,
                          .k = k,
                          .a = x,
                          .lda = k,
                          .b = w,
                          .ldb = k,
                          .c = y + start,
                          .ldc = n,
                          .accumulate = bias.given()});
    if (!status.ok()) return status;
  }
  return {};
}

}  // namespace espalier::cpu
