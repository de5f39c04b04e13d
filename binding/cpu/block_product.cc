// Weights are widened and transposed once, which is little beside many rows: the library is faster
// at that side, and all products go through together, 128 rows of x at a time. Threads take these
// blocks one by one, since no two threads are equally fast for long.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "binding/cpu/block_product.cc"
#include "hwy/foreach_target.h"  // keeps its place before highway.h
#include "hwy/highway.h"
//
#include <omp.h>

#include <algorithm>
#include <utility>

#include "binding/cpu/block_product.h"
#include "binding/cpu/gemm.h"
#include "binding/cpu/load_weight.h"
#include "binding/cpu/scratch.h"
#include "binding/cpu/transpose_lanes.h"

HWY_BEFORE_NAMESPACE();
namespace espalier::cpu::HWY_NAMESPACE {
namespace {

template <class W>
void transpose_typed(const W* weight, int64_t n, int64_t k, float* target) {
  const hn::ScalableTag<float> d;
  constexpr auto kLanes = static_cast<int64_t>(hn::MaxLanes(hn::ScalableTag<float>()));
#pragma omp parallel for schedule(static) if (n * k > 32768)
  for (int64_t row = 0; row < n; row += kLanes) {
    const int64_t rows = std::min(kLanes, n - row);
    int64_t c = 0;
    for (; rows == kLanes && c + kLanes <= k; c += kLanes) {
      hn::Vec<decltype(d)> v[kLanes];
      for (int64_t i = 0; i < kLanes; ++i) v[i] = load_weight(d, weight + (row + i) * k + c);
      transpose_lanes(v);
      for (int64_t i = 0; i < kLanes; ++i) hn::StoreU(v[i], d, target + (c + i) * n + row);
    }
    for (; c < k; ++c) {
      for (int64_t i = row; i < row + rows; ++i) {
        target[c * n + i] = load_weight_scalar(weight + i * k + c);
      }
    }
  }
}

// target[c, r] = weight[r, c] as f32.
void transpose_weight(const ConstView& weight, float* target) {
  with_weight_type(weight.data, weight.dtype, [&](const auto* values) {
    transpose_typed(values, weight.shape[0], weight.shape[1], target);
  });
}

}  // namespace
}  // namespace espalier::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace espalier::cpu {
namespace {

HWY_EXPORT(transpose_weight);

constexpr int64_t kBlockRows = 128;
// With fewer, transposing shows and threads end at different times.
constexpr int64_t kBlocksPerThread = 8;
// Elements of a weight: 1 MiB.
constexpr int64_t kMostElements = int64_t{1} << 18;

}  // namespace

bool suits_blocks(int64_t rows, int64_t n, int64_t k) {
  return n > 0 && k > 0 && n * k <= kMostElements &&
         rows >= kBlockRows * kBlocksPerThread * omp_get_max_threads();
}

Status multiply_blocks(const float* x, int64_t rows, std::span<const WeightProduct> products) {
  int64_t elements = 0;
  for (const WeightProduct& p : products) elements += p.weight.shape[0] * p.weight.shape[1];
  const Scratch<float> weights(static_cast<size_t>(elements));
  if (weights.data() == nullptr) return out_of_scratch();
  float* transposed = weights.data();
  for (const WeightProduct& p : products) {
    HWY_DYNAMIC_DISPATCH(transpose_weight)(p.weight, transposed);
    transposed += p.weight.shape[0] * p.weight.shape[1];
  }
  Status failure;
#pragma omp parallel for schedule(dynamic, 1)
  for (int64_t first = 0; first < rows; first += kBlockRows) {
    const float* b = weights.data();
    for (const WeightProduct& p : products) {
      const int64_t n = p.weight.shape[0];
      const int64_t k = p.weight.shape[1];
      Status status = gemm({.m = std::min(kBlockRows, rows - first),
                            .n = n,
                            .k = k,
                            .a = x + first * k,
                            .lda = k,
                            .b = b,
                            .ldb = n,
                            .c = p.y + first * n,
                            .ldc = n,
                            .accumulate = p.accumulate});
      if (!status.ok()) {
#pragma omp critical(espalier_multiply_blocks)
        failure = std::move(status);
      }
      b += n * k;
    }
  }
  return failure;
}

}  // namespace espalier::cpu
#endif
