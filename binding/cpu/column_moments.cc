// Mean and sum of squared deviations M2 of every column, in f64.
// x: [N, D] f32; output: [2, D] f64. Rows are taken in chunks that stay in cache: two passes over a
// chunk give its mean m' and M2', which join what was there (n rows, m, M2) by Chan's rule, with
// δ = m' - m and n'' = n + n':  m + δ n'/n'',  M2 + M2' + δ² n n'/n''.
// A thread owns a block of columns, so the number of threads does not change the bits.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "binding/cpu/column_moments.cc"
#include "hwy/foreach_target.h"  // keeps its place before highway.h
#include "hwy/highway.h"
//
#include <algorithm>

#include "binding/cpu/cpu_backend.h"

HWY_BEFORE_NAMESPACE();
namespace espalier::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

constexpr int64_t kRows = 256;
constexpr int64_t kColumns = 32;

// Running sums side by side: one alone would wait for the latency of every addition.
constexpr int64_t kSums = 4;

// sum[c] = Σ_r x[r, c] over kColumns or fewer columns.
void sum_columns(const float* x, int64_t stride, int64_t rows, int64_t columns, double* sum) {
  const hn::CappedTag<double, kColumns> d;
  const hn::Rebind<float, decltype(d)> df;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t c = 0;
  for (; c + kSums * lanes <= columns; c += kSums * lanes) {
    hn::Vec<decltype(d)> total[kSums];
    for (auto& t : total) t = hn::Zero(d);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t i = 0; i < kSums; ++i) {
        const auto value = hn::PromoteTo(d, hn::LoadU(df, x + r * stride + c + i * lanes));
        total[i] = hn::Add(total[i], value);
      }
    }
    for (int64_t i = 0; i < kSums; ++i) hn::StoreU(total[i], d, sum + c + i * lanes);
  }
  for (; c + lanes <= columns; c += lanes) {
    auto total = hn::Zero(d);
    for (int64_t r = 0; r < rows; ++r) {
      total = hn::Add(total, hn::PromoteTo(d, hn::LoadU(df, x + r * stride + c)));
    }
    hn::StoreU(total, d, sum + c);
  }
  for (; c < columns; ++c) {
    sum[c] = 0;
    for (int64_t r = 0; r < rows; ++r) sum[c] += static_cast<double>(x[r * stride + c]);
  }
}

// squares[c] = Σ_r (x[r, c] - mean[c])².
void sum_squares(const float* x, int64_t stride, int64_t rows, int64_t columns, const double* mean,
                 double* squares) {
  const hn::CappedTag<double, kColumns> d;
  const hn::Rebind<float, decltype(d)> df;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t c = 0;
  for (; c + kSums * lanes <= columns; c += kSums * lanes) {
    hn::Vec<decltype(d)> total[kSums];
    for (auto& t : total) t = hn::Zero(d);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t i = 0; i < kSums; ++i) {
        const auto value = hn::PromoteTo(d, hn::LoadU(df, x + r * stride + c + i * lanes));
        const auto deviation = hn::Sub(value, hn::LoadU(d, mean + c + i * lanes));
        total[i] = hn::MulAdd(deviation, deviation, total[i]);
      }
    }
    for (int64_t i = 0; i < kSums; ++i) hn::StoreU(total[i], d, squares + c + i * lanes);
  }
  for (; c + lanes <= columns; c += lanes) {
    const auto m = hn::LoadU(d, mean + c);
    auto total = hn::Zero(d);
    for (int64_t r = 0; r < rows; ++r) {
      const auto deviation = hn::Sub(hn::PromoteTo(d, hn::LoadU(df, x + r * stride + c)), m);
      total = hn::MulAdd(deviation, deviation, total);
    }
    hn::StoreU(total, d, squares + c);
  }
  for (; c < columns; ++c) {
    squares[c] = 0;
    for (int64_t r = 0; r < rows; ++r) {
      const double deviation = static_cast<double>(x[r * stride + c]) - mean[c];
      squares[c] += deviation * deviation;
    }
  }
}

void column_moments(const ColumnMomentsArguments& a) {
  const int64_t rows = a.x.shape.rows();
  const int64_t width = a.x.shape.columns();
  const int64_t blocks = (width + kColumns - 1) / kColumns;
#pragma omp parallel for schedule(static) if (rows * width > 16384)
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t start = block * kColumns;
    const int64_t columns = std::min(kColumns, width - start);
    double* mean = a.output.as<double>() + start;
    double* m2 = mean + width;
    if (a.count == 0) {
      std::fill_n(mean, columns, 0.0);
      std::fill_n(m2, columns, 0.0);
    }
    double chunk_mean[kColumns];
    double chunk_m2[kColumns];
    auto before = static_cast<double>(a.count);
    for (int64_t row = 0; row < rows; row += kRows) {
      const int64_t taken = std::min(kRows, rows - row);
      const auto added = static_cast<double>(taken);
      const float* x = a.x.as<float>() + row * width + start;
      sum_columns(x, width, taken, columns, chunk_mean);
      for (int64_t c = 0; c < columns; ++c) chunk_mean[c] /= added;
      sum_squares(x, width, taken, columns, chunk_mean, chunk_m2);
      const double share = added / (before + added);
      for (int64_t c = 0; c < columns; ++c) {
        const double delta = chunk_mean[c] - mean[c];
        mean[c] += delta * share;
        m2[c] += chunk_m2[c] + delta * delta * before * share;
      }
      before += added;
    }
  }
}

}  // namespace
}  // namespace espalier::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace espalier::cpu {

HWY_EXPORT(column_moments);

Status CpuBackend::column_moments(const ColumnMomentsArguments& arguments) {
  HWY_DYNAMIC_DISPATCH(column_moments)(arguments);
  return {};
}

}  // namespace espalier::cpu
#endif
