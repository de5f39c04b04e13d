// Elementwise activations over f32 and their gradients: GELU (exact and by tanh), tanh, ReLU.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "binding/cpu/activation.cc"
#include "hwy/foreach_target.h"  // keeps its place before highway.h
#include "hwy/highway.h"
//
#include <algorithm>

#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/simd_math.h"

HWY_BEFORE_NAMESPACE();
namespace espalier::cpu::HWY_NAMESPACE {
namespace {

/// tanh(√(2/π) (x + 0.044715 x³)).
template <class D>
HWY_INLINE hn::Vec<D> inner_tanh(D d, hn::Vec<D> x) {
  const auto cubic = hn::MulAdd(hn::Mul(hn::Set(d, 0.044715F), hn::Mul(x, x)), x, x);
  return tanh(d, hn::Mul(hn::Set(d, 0.79788456F), cubic));
}

struct Gelu {
  template <class D>
  static HWY_INLINE hn::Vec<D> value(D d, hn::Vec<D> x) {
    return hn::Mul(x, normal_cdf(d, x));
  }
  template <class D>
  static HWY_INLINE hn::Vec<D> slope(D d, hn::Vec<D> x) {
    const auto half_square = hn::Mul(hn::Mul(x, x), hn::Set(d, -0.5F));
    const auto density = hn::Mul(exp(d, half_square), hn::Set(d, 0.39894228F));
    return hn::MulAdd(x, density, normal_cdf(d, x));
  }
};

struct GeluTanh {
  template <class D>
  static HWY_INLINE hn::Vec<D> value(D d, hn::Vec<D> x) {
    const auto half = hn::Mul(x, hn::Set(d, 0.5F));
    return hn::MulAdd(half, inner_tanh(d, x), half);
  }
  template <class D>
  static HWY_INLINE hn::Vec<D> slope(D d, hn::Vec<D> x) {
    const auto one = hn::Set(d, 1.0F);
    const auto half = hn::Set(d, 0.5F);
    const auto t = inner_tanh(d, x);
    // d/dx of the argument: √(2/π) (1 + 3 · 0.044715 x²).
    const auto inner = hn::MulAdd(hn::Mul(x, x), hn::Set(d, 0.107032225F), hn::Set(d, 0.79788456F));
    const auto curve = hn::Mul(hn::Mul(hn::Mul(half, x), hn::NegMulAdd(t, t, one)), inner);
    return hn::MulAdd(half, hn::Add(one, t), curve);
  }
};

/// Its gradient is made from its output.
struct Tanh {
  template <class D>
  static HWY_INLINE hn::Vec<D> value(D d, hn::Vec<D> x) {
    return tanh(d, x);
  }
  template <class D>
  static HWY_INLINE hn::Vec<D> slope(D d, hn::Vec<D> y) {
    return hn::NegMulAdd(y, y, hn::Set(d, 1.0F));
  }
};

struct Relu {
  template <class D>
  static HWY_INLINE hn::Vec<D> value(D d, hn::Vec<D> x) {
    return hn::IfThenZeroElse(hn::Lt(x, hn::Zero(d)), x);
  }
  template <class D>
  static HWY_INLINE hn::Vec<D> slope(D d, hn::Vec<D> x) {
    return hn::IfThenElseZero(hn::Gt(x, hn::Zero(d)), hn::Set(d, 1.0F));
  }
};

/// Calls apply(d, i) for whole vectors of [0, count), then for the single elements left over.
template <class Apply>
HWY_INLINE void for_each(int64_t count, const Apply& apply) {
  constexpr int64_t kBlock = 4096;
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t blocks = (count + kBlock - 1) / kBlock;
#pragma omp parallel for schedule(static) if (blocks > 1)
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t end = std::min(count, (block + 1) * kBlock);
    int64_t i = block * kBlock;
    for (; i + lanes <= end; i += lanes) apply(d, i);
    const hn::CappedTag<float, 1> d1;
    for (; i < end; ++i) apply(d1, i);
  }
}

template <class Function>
void forward(const ActivationArguments& a) {
  const float* x = a.x.as<float>();
  auto* output = a.output.as<float>();
  for_each(a.x.shape.elements(), [=](auto d, int64_t i) HWY_ATTR {
    hn::StoreU(Function::value(d, hn::LoadU(d, x + i)), d, output + i);
  });
}

template <class Function>
void backward(const ActivationBackwardArguments& a) {
  const float* saved = a.saved.as<float>();
  const float* gradient = a.gradient.as<float>();
  auto* output = a.output.as<float>();
  for_each(a.saved.shape.elements(), [=](auto d, int64_t i) HWY_ATTR {
    const auto slope = Function::slope(d, hn::LoadU(d, saved + i));
    hn::StoreU(hn::Mul(hn::LoadU(d, gradient + i), slope), d, output + i);
  });
}

void activation(const ActivationArguments& a) {
  switch (a.kind) {
    case ActivationKind::gelu:
      return forward<Gelu>(a);
    case ActivationKind::gelu_tanh:
      return forward<GeluTanh>(a);
    case ActivationKind::tanh:
      return forward<Tanh>(a);
    case ActivationKind::relu:
      return forward<Relu>(a);
  }
}

void activation_backward(const ActivationBackwardArguments& a) {
  switch (a.kind) {
    case ActivationKind::gelu:
      return backward<Gelu>(a);
    case ActivationKind::gelu_tanh:
      return backward<GeluTanh>(a);
    case ActivationKind::tanh:
      return backward<Tanh>(a);
    case ActivationKind::relu:
      return backward<Relu>(a);
  }
}

}  // namespace
}  // namespace espalier::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace espalier::cpu {

HWY_EXPORT(activation);
HWY_EXPORT(activation_backward);

Status CpuBackend::activation(const ActivationArguments& arguments) {
  HWY_DYNAMIC_DISPATCH(activation)(arguments);
  return {};
}

Status CpuBackend::activation_backward(const ActivationBackwardArguments& arguments) {
  HWY_DYNAMIC_DISPATCH(activation_backward)(arguments);
  return {};
}

}  // namespace espalier::cpu
#endif
