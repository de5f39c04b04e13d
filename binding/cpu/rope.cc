// Rotary position embedding, half-rotation layout: with h = D/2, angle a = (offset + t) f_i,
// (x_i, x_{i+h}) -> scale (x_i cos a - x_{i+h} sin a, x_{i+h} cos a + x_i sin a).
// x, output: [B, T, H, D] f32. The angles are products in f64 (an f32 angle of position 100,000 is
// off by up to 0.004); cosines and sines stand in a table [T, 2, h] that all batches and heads
// share.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "binding/cpu/rope.cc"
#include "hwy/foreach_target.h"  // keeps its place before highway.h
#include "hwy/highway.h"
//
#include <cmath>

#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/scratch.h"

HWY_BEFORE_NAMESPACE();
namespace espalier::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// Whole vectors of pairs from `i` on.
template <class D>
HWY_INLINE int64_t rotate_vectors(D d, const float* x, const float* cosine, const float* sine,
                                  float* y, int64_t half, int64_t i) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  for (; i + lanes <= half; i += lanes) {
    const auto first = hn::LoadU(d, x + i);
    const auto second = hn::LoadU(d, x + i + half);
    const auto c = hn::LoadU(d, cosine + i);
    const auto s = hn::LoadU(d, sine + i);
    hn::StoreU(hn::NegMulAdd(second, s, hn::Mul(first, c)), d, y + i);
    hn::StoreU(hn::MulAdd(first, s, hn::Mul(second, c)), d, y + i + half);
  }
  return i;
}

HWY_INLINE void rotate_head(const float* x, const float* cosine, const float* sine, float* y,
                            int64_t half) {
  int64_t i = rotate_vectors(hn::ScalableTag<float>(), x, cosine, sine, y, half, 0);
  // Heads of small models are half a vector wide.
  i = rotate_vectors(hn::CappedTag<float, 8>(), x, cosine, sine, y, half, i);
  rotate_vectors(hn::CappedTag<float, 1>(), x, cosine, sine, y, half, i);
}

void rope(const RopeArguments& a, const float* table) {
  const Shape& shape = a.x.shape;
  const int64_t positions = shape[0] * shape[1];
  const int64_t heads = shape[2];
  const int64_t columns = shape[3];
  const int64_t half = columns / 2;
#pragma omp parallel for schedule(static) if (shape.elements() > 16384)
  for (int64_t position = 0; position < positions; ++position) {
    const float* cosine = table + position % shape[1] * columns;
    for (int64_t head = position * heads; head < (position + 1) * heads; ++head) {
      rotate_head(a.x.as<float>() + head * columns, cosine, cosine + half,
                  a.output.as<float>() + head * columns, half);
    }
  }
}

}  // namespace
}  // namespace espalier::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace espalier::cpu {
namespace {

void fill_table(const RopeArguments& a, float* table) {
  const int64_t length = a.x.shape[1];
  const int64_t half = a.x.shape[3] / 2;
#pragma omp parallel for schedule(static) if (length * half > 1024)
  for (int64_t t = 0; t < length; ++t) {
    float* row = table + t * 2 * half;
    for (int64_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(a.offset + t) *
                           static_cast<double>(a.inverse_frequencies.as<float>()[i]);
      row[i] = static_cast<float>(std::cos(angle) * static_cast<double>(a.scale));
      const auto sine = static_cast<float>(std::sin(angle) * static_cast<double>(a.scale));
      row[i + half] = a.inverse ? -sine : sine;
    }
  }
}

}  // namespace

HWY_EXPORT(rope);

Status CpuBackend::rope(const RopeArguments& arguments) {
  if (arguments.x.shape.elements() == 0) return {};
  const Scratch<float> table(static_cast<size_t>(arguments.x.shape[1] * arguments.x.shape[3]));
  if (table.data() == nullptr) return out_of_scratch();
  fill_table(arguments, table.data());
  HWY_DYNAMIC_DISPATCH(rope)(arguments, table.data());
  return {};
}

}  // namespace espalier::cpu
#endif
