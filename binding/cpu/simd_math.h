// Elementary functions over f32 vectors. Include after highway.h, inside a dispatched target: the
// functions live in that target's namespace.
#if defined(ESPALIER_SIMD_MATH_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ESPALIER_SIMD_MATH_H_
#undef ESPALIER_SIMD_MATH_H_
#else
#define ESPALIER_SIMD_MATH_H_
#endif

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace espalier::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// e^x with a relative error below 2e-7 wherever the result is a normal float; gradual underflow
/// below, infinity above 88.7228, e^-inf = 0, NaN stays NaN.
/// With n = round(x / ln 2) and r = x - n ln 2, |r| <= ln 2 / 2: e^x = 2^n e^r, and e^r from the
/// minimax polynomial of Cephes' expf (S. Moshier).
template <class D>
HWY_INLINE hn::Vec<D> exp(D d, hn::Vec<D> x) {
  const hn::RebindToSigned<D> di;
  const auto bounded = hn::Min(hn::Max(x, hn::Set(d, -104.0F)), hn::Set(d, 89.0F));
  const auto n = hn::Round(hn::Mul(bounded, hn::Set(d, 1.44269504F)));
  // ln 2 in two parts; the first has so few bits that its product with n is exact.
  auto r = hn::NegMulAdd(n, hn::Set(d, 0.693359375F), bounded);
  r = hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4F), r);
  auto p = hn::Set(d, 1.9875691500e-4F);
  p = hn::MulAdd(p, r, hn::Set(d, 1.3981999507e-3F));
  p = hn::MulAdd(p, r, hn::Set(d, 8.3334519073e-3F));
  p = hn::MulAdd(p, r, hn::Set(d, 4.1665795894e-2F));
  p = hn::MulAdd(p, r, hn::Set(d, 1.6666665459e-1F));
  p = hn::MulAdd(p, r, hn::Set(d, 5.0000001201e-1F));
  p = hn::Add(hn::MulAdd(hn::Mul(r, r), p, r), hn::Set(d, 1.0F));
  // 2^n in two factors: n reaches 128 and -150, beyond what one exponent can hold.
  const auto whole = hn::ConvertTo(di, n);
  const auto half = hn::ShiftRight<1>(whole);
  const auto power = [&](auto k) {
    return hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(k, hn::Set(di, 127))));
  };
  const auto y = hn::Mul(hn::Mul(p, power(half)), power(hn::Sub(whole, half)));
  return hn::IfThenElse(hn::IsNaN(x), x, y);
}

/// tanh(x) with a relative error below 5e-7; ±1 at the ends, NaN stays NaN. Below 0.625 the minimax
/// polynomial of Cephes' tanhf (S. Moshier), above 1 - 2 / (e^2x + 1).
template <class D>
HWY_INLINE hn::Vec<D> tanh(D d, hn::Vec<D> x) {
  const auto z = hn::Mul(x, x);
  auto p = hn::Set(d, -5.70498872745e-3F);
  p = hn::MulAdd(p, z, hn::Set(d, 2.06390887954e-2F));
  p = hn::MulAdd(p, z, hn::Set(d, -5.37397155531e-2F));
  p = hn::MulAdd(p, z, hn::Set(d, 1.33314422036e-1F));
  p = hn::MulAdd(p, z, hn::Set(d, -3.33332819422e-1F));
  const auto small = hn::MulAdd(hn::Mul(p, z), x, x);
  const auto one = hn::Set(d, 1.0F);
  const auto size = hn::Abs(x);
  const auto grown = exp(d, hn::Add(size, size));
  const auto large = hn::Sub(one, hn::Div(hn::Set(d, 2.0F), hn::Add(grown, one)));
  return hn::IfThenElse(hn::Lt(size, hn::Set(d, 0.625F)), small, hn::CopySign(large, x));
}

/// The normal distribution function Φ(x) = erfc(-x / √2) / 2 with a relative error below 3e-6 down
/// to -12 (what f32 leaves of the exponent), below 3e-7 above -2; NaN stays NaN. erfc as t e^(-z² +
/// P(t)), t = 1 / (1 + z / 2), with the Chebyshev fit of Press et al., Numerical Recipes, 6.2.
template <class D>
HWY_INLINE hn::Vec<D> normal_cdf(D d, hn::Vec<D> x) {
  constexpr float kFit[] = {0.17087277F,  -0.82215223F, 1.48851587F, -1.13520398F, 0.27886807F,
                            -0.18628806F, 0.09678418F,  0.37409196F, 1.00002368F,  -1.26551223F};
  const auto z = hn::Mul(hn::Abs(x), hn::Set(d, 0.70710678F));
  const auto one = hn::Set(d, 1.0F);
  const auto t = hn::Div(one, hn::MulAdd(z, hn::Set(d, 0.5F), one));
  auto p = hn::Set(d, kFit[0]);
  for (int i = 1; i < 10; ++i) p = hn::MulAdd(p, t, hn::Set(d, kFit[i]));
  const auto tail = hn::Mul(hn::Mul(t, hn::Set(d, 0.5F)), exp(d, hn::NegMulAdd(z, z, p)));
  return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), tail, hn::Sub(one, tail));
}

}  // namespace espalier::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
