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

}  // namespace espalier::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
