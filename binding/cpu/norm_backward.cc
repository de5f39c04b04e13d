// Gradients of RMS and of layer normalisation. With the normalised row n_c = (x_c - μ) f, where
// f = 1 / sqrt(mean_c((x_c - μ)²) + ε) and μ is the row's mean (layer normalisation) or 0, and with
// g_c = dy_c w_c:
//   dx_c = f (g_c - mean(g) - n_c mean(g n))   (without mean(g) when μ = 0), + upstream_c
//   dw_c = Σ_rows dy_c n_c,   db_c = Σ_rows dy_c.
// dy, x, dx: [rows, D] f32; w: [D] f32, bf16 or f16; dw, db: [D] f32. f and μ are computed anew:
// two sums over a row that is read anyway. Sums over rows are f32 within chunks of fixed size and
// f64 over the chunks in order, so threads do not change the bits.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "binding/cpu/norm_backward.cc"
#include "hwy/foreach_target.h"  // keeps its place before highway.h
#include "hwy/highway.h"
//
#include <algorithm>
#include <cmath>

#include "binding/cpu/columns.h"
#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/load_weight.h"
#include "binding/cpu/scratch.h"

#ifndef ESPALIER_CPU_NORM_BACKWARD_ONCE
#define ESPALIER_CPU_NORM_BACKWARD_ONCE
namespace espalier::cpu {
namespace {

constexpr int64_t kRowChunk = 32;

}  // namespace
}  // namespace espalier::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace espalier::cpu::HWY_NAMESPACE {
namespace {

// One row; dw and db, when not null, are added to.
template <bool Centred, class W>
HWY_INLINE void row_gradient(const NormBackwardArguments& a, const W* weight, int64_t row,
                             float* dw, float* db) {
  const int64_t columns = a.x.shape.columns();
  const auto count = static_cast<float>(columns);
  const float* dy = a.gradient.as<float>() + row * columns;
  const float* x = a.x.as<float>() + row * columns;
  const float* upstream = a.upstream.given() ? a.upstream.as<float>() + row * columns : nullptr;
  float* dx = a.x_gradient.as<float>() + row * columns;
  float mean = 0;
  if constexpr (Centred) {
    mean = sum_columns(columns, [&](auto d, int64_t c) { return hn::LoadU(d, x + c); }) / count;
  }
  const auto deviation = [&](auto d, int64_t c) {
    if constexpr (Centred) return hn::Sub(hn::LoadU(d, x + c), hn::Set(d, mean));
    return hn::LoadU(d, x + c);
  };
  const auto weighted = [&](auto d, int64_t c) {
    return hn::Mul(hn::LoadU(d, dy + c), load_weight(d, weight + c));
  };
  const float squares = sum_columns(columns, [&](auto d, int64_t c) {
    const auto value = deviation(d, c);
    return hn::Mul(value, value);
  });
  const float factor = 1.0F / std::sqrt(squares / count + a.epsilon);
  const float along = sum_columns(
      columns, [&](auto d, int64_t c) { return hn::Mul(weighted(d, c), deviation(d, c)); });
  float offset = 0;
  if constexpr (Centred) offset = -factor * sum_columns(columns, weighted) / count;
  const float pull = -factor * factor * factor * (along / count);
  for_columns(columns, [&](auto d, int64_t c) {
    const auto value = deviation(d, c);
    auto result = hn::Mul(weighted(d, c), hn::Set(d, factor));
    result = hn::MulAdd(value, hn::Set(d, pull), result);
    if constexpr (Centred) result = hn::Add(result, hn::Set(d, offset));
    if (upstream != nullptr) result = hn::Add(result, hn::LoadU(d, upstream + c));
    hn::StoreU(result, d, dx + c);
    const auto gradient = hn::LoadU(d, dy + c);
    if (dw != nullptr) {
      const auto normalised = hn::Mul(value, hn::Set(d, factor));
      hn::StoreU(hn::MulAdd(gradient, normalised, hn::LoadU(d, dw + c)), d, dw + c);
    }
    if (db != nullptr) hn::StoreU(hn::Add(gradient, hn::LoadU(d, db + c)), d, db + c);
  });
}

// dw, db: [chunks, D] partial sums, or null.
void norm_backward(const NormBackwardArguments& a, float* dw, float* db) {
  const int64_t rows = a.x.shape.rows();
  const int64_t columns = a.x.shape.columns();
  const int64_t chunks = (rows + kRowChunk - 1) / kRowChunk;
#pragma omp parallel for schedule(static) if (rows * columns > 16384)
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    float* chunk_dw = dw == nullptr ? nullptr : dw + chunk * columns;
    float* chunk_db = db == nullptr ? nullptr : db + chunk * columns;
    if (dw != nullptr) std::fill_n(chunk_dw, columns, 0.0F);
    if (db != nullptr) std::fill_n(chunk_db, columns, 0.0F);
    const int64_t end = std::min(rows, (chunk + 1) * kRowChunk);
    with_weight_type(a.weight.data, a.weight.dtype, [&](const auto* weight) {
      for (int64_t row = chunk * kRowChunk; row < end; ++row) {
        if (a.centred) {
          row_gradient<true>(a, weight, row, chunk_dw, chunk_db);
        } else {
          row_gradient<false>(a, weight, row, chunk_dw, chunk_db);
        }
      }
    });
  }
}

}  // namespace
}  // namespace espalier::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace espalier::cpu {
namespace {

void add_chunks(const float* partial, int64_t chunks, int64_t columns, float* output) {
#pragma omp parallel for schedule(static) if (chunks * columns > 16384)
  for (int64_t c = 0; c < columns; ++c) {
    double sum = 0;
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      sum += static_cast<double>(partial[chunk * columns + c]);
    }
    output[c] = static_cast<float>(sum);
  }
}

}  // namespace

HWY_EXPORT(norm_backward);

Status CpuBackend::norm_backward(const NormBackwardArguments& a) {
  const int64_t columns = a.x.shape.columns();
  const int64_t chunks = (a.x.shape.rows() + kRowChunk - 1) / kRowChunk;
  auto* dw = a.weight_gradient.as<float>();
  auto* db = a.bias_gradient.as<float>();
  const auto partials = static_cast<size_t>(chunks * columns);
  const Scratch<float> partial_dw(dw == nullptr ? 0 : partials);
  const Scratch<float> partial_db(db == nullptr ? 0 : partials);
  if (partial_dw.data() == nullptr || partial_db.data() == nullptr) return out_of_scratch();
  HWY_DYNAMIC_DISPATCH(norm_backward)
  (a, dw == nullptr ? nullptr : partial_dw.data(), db == nullptr ? nullptr : partial_db.data());
  if (dw != nullptr) add_chunks(partial_dw.data(), chunks, columns, dw);
  if (db != nullptr) add_chunks(partial_db.data(), chunks, columns, db);
  return {};
}

}  // namespace espalier::cpu
#endif
