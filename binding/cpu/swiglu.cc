// SwiGLU: output = silu(gate) ∘ up = gate / (1 + exp(-gate)) ∘ up, elementwise over f32, and its
// gradient.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "binding/cpu/swiglu.cc"
#include "hwy/foreach_target.h"  // keeps its place before highway.h
#include "hwy/highway.h"
//
#include <algorithm>

#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/simd_math.h"

HWY_BEFORE_NAMESPACE();
namespace espalier::cpu::HWY_NAMESPACE {
namespace {

template <class V>
HWY_INLINE V swiglu_of(V gate, V up) {
  const hn::DFromV<V> d;
  return hn::Mul(hn::Div(gate, hn::Add(hn::Set(d, 1.0F), exp(d, hn::Neg(gate)))), up);
}

void swiglu(const SwigluArguments& a) {
  // A whole number of vectors, so that only the last block has a remainder.
  constexpr int64_t kBlock = 4096;
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t count = a.gate.shape.elements();
  const int64_t blocks = (count + kBlock - 1) / kBlock;
  const float* gate = a.gate.as<float>();
  const float* up = a.up.as<float>();
  auto* output = a.output.as<float>();
#pragma omp parallel for schedule(static) if (blocks > 1)
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t end = std::min(count, (block + 1) * kBlock);
    int64_t i = block * kBlock;
    for (; i + lanes <= end; i += lanes) {
      hn::StoreU(swiglu_of(hn::LoadU(d, gate + i), hn::LoadU(d, up + i)), d, output + i);
    }
    const hn::CappedTag<float, 1> d1;
    for (; i < end; ++i) {
      hn::StoreU(swiglu_of(hn::LoadU(d1, gate + i), hn::LoadU(d1, up + i)), d1, output + i);
    }
  }
}

template <class D>
HWY_INLINE void step_back(D d, const SwigluBackwardArguments& a, int64_t i) {
  const auto gate = hn::LoadU(d, a.gate.as<float>() + i);
  const auto gradient = hn::LoadU(d, a.gradient.as<float>() + i);
  const auto one = hn::Set(d, 1.0F);
  const auto sigma = hn::Div(one, hn::Add(one, exp(d, hn::Neg(gate))));
  // A gate far below zero has σ = 0, and 0 times its size is 0.
  const auto silu = hn::Mul(gate, sigma);
  const auto slope = hn::MulAdd(silu, hn::Sub(one, sigma), sigma);
  const auto up = hn::LoadU(d, a.up.as<float>() + i);
  hn::StoreU(hn::Mul(hn::Mul(gradient, up), slope), d, a.gate_gradient.as<float>() + i);
  hn::StoreU(hn::Mul(gradient, silu), d, a.up_gradient.as<float>() + i);
}

void swiglu_backward(const SwigluBackwardArguments& a) {
  constexpr int64_t kBlock = 4096;
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t count = a.gate.shape.elements();
  const int64_t blocks = (count + kBlock - 1) / kBlock;
#pragma omp parallel for schedule(static) if (blocks > 1)
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t end = std::min(count, (block + 1) * kBlock);
    int64_t i = block * kBlock;
    for (; i + lanes <= end; i += lanes) step_back(d, a, i);
    const hn::CappedTag<float, 1> d1;
    for (; i < end; ++i) step_back(d1, a, i);
  }
}

}  // namespace
}  // namespace espalier::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace espalier::cpu {

HWY_EXPORT(swiglu);
HWY_EXPORT(swiglu_backward);

Status CpuBackend::swiglu(const SwigluArguments& arguments) {
  HWY_DYNAMIC_DISPATCH(swiglu)(arguments);
  return {};
}

Status CpuBackend::swiglu_backward(const SwigluBackwardArguments& arguments) {
  HWY_DYNAMIC_DISPATCH(swiglu_backward)(arguments);
  return {};
}

}  // namespace espalier::cpu
#endif
