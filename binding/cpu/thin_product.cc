// Three products with a thin factor of r = 1 … 64 rows, f32:
//   dots      Y = X Mᵀ    reduces along the rows of X and M
//   expand    Y += H M    adds r multiples of the rows of M to every row of Y
//   gradient  D += Gᵀ X   reduces over the rows of X
// A tile of 16 sums stays in registers (8 where there are but 16 registers) and takes 8 loads for
// every 16 multiply-adds; the wide matrix is read once per four (dots, gradient) or all ranks
// (expand). Libraries pack their factors into panels of 16 to 48 columns, most of which is padding
// or overhead here.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "binding/cpu/thin_product.cc"
#include "hwy/foreach_target.h"  // keeps its place before highway.h
#include "hwy/highway.h"
//
#include <omp.h>

#include <algorithm>

#include "binding/cpu/sum_lanes.h"
#include "binding/cpu/thin_product.h"

HWY_BEFORE_NAMESPACE();
namespace espalier::cpu::HWY_NAMESPACE {
namespace {

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

// Rows of a tile of sums; its other side is four.
#if HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM_A64
constexpr int kTall = 4;
#else
constexpr int kTall = 2;
#endif
constexpr int kWide = 4;

// Work of one parallel loop below which threads cost more than they bring, in multiply-adds.
constexpr int64_t kParallelWork = int64_t{1} << 17;

template <class Term>
int64_t total_rank(std::span<const Term> terms) {
  int64_t rank = 0;
  for (const Term& term : terms) rank += term.rank;
  return rank;
}

template <int kRows, int kCols>
HWY_INLINE void dots_tile(const float* HWY_RESTRICT x, const float* HWY_RESTRICT m, int64_t width,
                          float* HWY_RESTRICT y, int64_t ldy) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  V sums[kRows * kCols];
  for (auto& sum : sums) sum = hn::Zero(d);
  int64_t l = 0;
  for (; l + lanes <= width; l += lanes) {
    V right[kCols];
    for (int c = 0; c < kCols; ++c) right[c] = hn::LoadU(d, m + c * width + l);
    for (int r = 0; r < kRows; ++r) {
      const V left = hn::LoadU(d, x + r * width + l);
      for (int c = 0; c < kCols; ++c) {
        sums[r * kCols + c] = hn::MulAdd(left, right[c], sums[r * kCols + c]);
      }
    }
  }
  float totals[kRows * kCols];
  sum_each<kRows * kCols>(sums, totals);
  for (int r = 0; r < kRows; ++r) {
    for (int c = 0; c < kCols; ++c) {
      float total = totals[r * kCols + c];
      for (int64_t i = l; i < width; ++i) total += x[r * width + i] * m[c * width + i];
      y[r * ldy + c] = total;
    }
  }
}

template <int kRows>
HWY_INLINE void dots_rows(const float* x, int64_t width, const float* m, int64_t rank, float* y,
                          int64_t ldy) {
  int64_t j = 0;
  for (; j + kWide <= rank; j += kWide) {
    dots_tile<kRows, kWide>(x, m + j * width, width, y + j, ldy);
  }
  for (; j + 2 <= rank; j += 2) dots_tile<kRows, 2>(x, m + j * width, width, y + j, ldy);
  if (j < rank) dots_tile<kRows, 1>(x, m + j * width, width, y + j, ldy);
}

template <int kRows>
HWY_INLINE void dots_all(const float* x, int64_t t, int64_t width,
                         std::span<const ThinDots> products) {
  for (const ThinDots& p : products) {
    dots_rows<kRows>(x + t * width, width, p.m, p.rank, p.y + t * p.rank, p.rank);
  }
}

void dots(const float* x, int64_t rows, int64_t width, std::span<const ThinDots> products) {
  const bool parallel = rows * width * total_rank(products) > kParallelWork;
#pragma omp parallel for schedule(static) if (parallel)
  for (int64_t t = 0; t < rows; t += kTall) {
    if (t + kTall <= rows) {
      dots_all<kTall>(x, t, width, products);
    } else {
      for (int64_t i = t; i < rows; ++i) dots_all<1>(x, i, width, products);
    }
  }
}

// Σ_i coefficients[i · step + r · across] · vectors[i · stride + lanes] over `count` terms, for
// kRows values of r and kVectors vectors of lanes, at target[r · ld + lanes]: both expand (terms
// are ranks) and gradient (terms are rows of x).
template <int kRows, int kVectors>
HWY_INLINE void outer_tile(const float* HWY_RESTRICT coefficients, int64_t step, int64_t across,
                           int64_t count, const float* HWY_RESTRICT vectors, int64_t stride,
                           float* HWY_RESTRICT target, int64_t ld, bool accumulate) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  V sums[kRows * kVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      sums[r * kVectors + v] = accumulate ? hn::LoadU(d, target + r * ld + v * lanes) : hn::Zero(d);
    }
  }
  for (int64_t i = 0; i < count; ++i) {
    V right[kVectors];
    for (int v = 0; v < kVectors; ++v) right[v] = hn::LoadU(d, vectors + i * stride + v * lanes);
    for (int r = 0; r < kRows; ++r) {
      const V left = hn::Set(d, coefficients[i * step + r * across]);
      for (int v = 0; v < kVectors; ++v) {
        sums[r * kVectors + v] = hn::MulAdd(left, right[v], sums[r * kVectors + v]);
      }
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      hn::StoreU(sums[r * kVectors + v], d, target + r * ld + v * lanes);
    }
  }
}

// outer_tile for `width` columns, the last ones one by one.
template <int kRows>
HWY_INLINE void outer_rows(const float* coefficients, int64_t step, int64_t across, int64_t count,
                           const float* vectors, int64_t stride, int64_t width, float* target,
                           int64_t ld, bool accumulate) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  constexpr int kVectors = kRows > kTall ? kWide / 2 : kWide;
  int64_t l = 0;
  for (; l + kVectors * lanes <= width; l += kVectors * lanes) {
    outer_tile<kRows, kVectors>(coefficients, step, across, count, vectors + l, stride, target + l,
                                ld, accumulate);
  }
  for (; l + lanes <= width; l += lanes) {
    outer_tile<kRows, 1>(coefficients, step, across, count, vectors + l, stride, target + l, ld,
                         accumulate);
  }
  for (; l < width; ++l) {
    for (int r = 0; r < kRows; ++r) {
      float sum = accumulate ? target[r * ld + l] : 0.0F;
      for (int64_t i = 0; i < count; ++i) {
        sum += coefficients[i * step + r * across] * vectors[i * stride + l];
      }
      target[r * ld + l] = sum;
    }
  }
}

// Calls body<rows>(first) for tiles of kMost rows, and smaller ones at the end.
template <int kMost, class Body>
HWY_INLINE void for_tiles(int64_t count, Body&& body) {
  int64_t i = 0;
  for (; i + kMost <= count; i += kMost) body.template operator()<kMost>(i);
  for (; i + kTall <= count; i += kTall) body.template operator()<kTall>(i);
  for (; i + 2 <= count; i += 2) body.template operator()<2>(i);
  if (i < count) body.template operator()<1>(i);
}

void expand(std::span<const ThinExpansion> terms, int64_t rows, int64_t width, float* y,
            bool accumulate) {
  constexpr int64_t kRowBlock = 64;
  const int64_t rank = total_rank(terms);
  // Blocks of m that stay in the first cache together.
  const int64_t block = std::max<int64_t>(256, 8192 / std::max<int64_t>(1, rank) / 64 * 64);
  const bool parallel = rows * width * rank > kParallelWork;
#pragma omp parallel for collapse(2) schedule(static) if (parallel)
  for (int64_t first = 0; first < rows; first += kRowBlock) {
    for (int64_t l = 0; l < width; l += block) {
      const int64_t count = std::min(block, width - l);
      for_tiles<kTall>(std::min(kRowBlock, rows - first), [&]<int kRows>(int64_t i) {
        const int64_t t = first + i;
        bool holds = accumulate;
        for (const ThinExpansion& term : terms) {
          outer_rows<kRows>(term.h + t * term.rank, 1, term.rank, term.rank, term.m + l, width,
                            count, y + t * width + l, width, holds);
          holds = true;
        }
      });
    }
  }
}

void gradient(const float* x, int64_t rows, int64_t width, std::span<const ThinGradient> gradients,
              bool accumulate) {
  // Few enough rows that the processor prefetches each of them.
  constexpr int64_t kRowBlock = 32;
  constexpr int64_t kStrip = 64;
  const int64_t strips = (width + kStrip - 1) / kStrip;
  const bool parallel = rows * width * total_rank(gradients) > kParallelWork;
#pragma omp parallel if (parallel)
  {
    const int64_t team = omp_get_num_threads();
    const int64_t me = omp_get_thread_num();
    const int64_t begin = strips * me / team;
    const int64_t end = strips * (me + 1) / team;
    // Without rows, one empty block still writes zeros.
    for (int64_t first = 0; first < std::max<int64_t>(1, rows); first += kRowBlock) {
      const int64_t count = std::min(kRowBlock, rows - first);
      for (int64_t strip = begin; strip < end; ++strip) {
        const int64_t l = strip * kStrip;
        for (const ThinGradient& each : gradients) {
          // Rows of x a power of two apart displace each other from the first cache, so that a
          // second tile of ranks reads them from further away: tiles are as tall as can be.
          for_tiles<2 * kTall>(each.rank, [&]<int kRows>(int64_t j) {
            outer_rows<kRows>(each.g + first * each.rank + j, each.rank, 1, count,
                              x + first * width + l, width, std::min(kStrip, width - l),
                              each.d + j * width + l, width, accumulate || first > 0);
          });
        }
      }
    }
  }
}

}  // namespace
}  // namespace espalier::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace espalier::cpu {

HWY_EXPORT(dots);
HWY_EXPORT(expand);
HWY_EXPORT(gradient);

void thin_dots(const float* x, int64_t rows, int64_t width, std::span<const ThinDots> products) {
  HWY_DYNAMIC_DISPATCH(dots)(x, rows, width, products);
}

void thin_expand(std::span<const ThinExpansion> terms, int64_t rows, int64_t width, float* y,
                 bool accumulate) {
  HWY_DYNAMIC_DISPATCH(expand)(terms, rows, width, y, accumulate);
}

void thin_gradient(const float* x, int64_t rows, int64_t width,
                   std::span<const ThinGradient> gradients, bool accumulate) {
  HWY_DYNAMIC_DISPATCH(gradient)(x, rows, width, gradients, accumulate);
}

}  // namespace espalier::cpu
#endif
