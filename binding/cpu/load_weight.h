// Reading f32, bf16 or f16 weights as f32 vectors. Include after highway.h, inside a dispatched
// target: the functions live in that target's namespace.
#if defined(ESPALIER_LOAD_WEIGHT_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ESPALIER_LOAD_WEIGHT_H_
#undef ESPALIER_LOAD_WEIGHT_H_
#else
#define ESPALIER_LOAD_WEIGHT_H_
#endif

#include <cstdint>

#include "binding/core/dtype.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace espalier::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// bf16 and f16 are both 16-bit patterns; the tag keeps them apart.
struct Bf16 {
  uint16_t bits;
};
/// See Bf16.
struct F16 {
  uint16_t bits;
};

/// A full vector of f32 from `source`, unaligned.
template <class D>
HWY_INLINE hn::Vec<D> load_weight(D d, const float* source) {
  return hn::LoadU(d, source);
}

/// bf16: the bits are the upper half of the float.
template <class D>
HWY_INLINE hn::Vec<D> load_weight(D d, const Bf16* source) {
  const hn::RebindToUnsigned<D> du32;
  const hn::Rebind<uint16_t, D> du16;
  const auto bits = hn::LoadU(du16, reinterpret_cast<const uint16_t*>(source));
  return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(du32, bits)));
}

/// f16, subnormals, infinities and NaN included.
template <class D>
HWY_INLINE hn::Vec<D> load_weight(D d, const F16* source) {
  // Multiplying the shifted pattern by 2^112 moves the exponent bias, subnormals included; what
  // was infinite or NaN (exponent 31) then needs its exponent filled with ones.
  const hn::RebindToUnsigned<D> du32;
  const hn::Rebind<uint16_t, D> du16;
  const auto bits = hn::PromoteTo(du32, hn::LoadU(du16, reinterpret_cast<const uint16_t*>(source)));
  const auto sign = hn::ShiftLeft<16>(hn::And(bits, hn::Set(du32, 0x8000U)));
  const auto magnitude = hn::ShiftLeft<13>(hn::And(bits, hn::Set(du32, 0x7fffU)));
  const auto scaled = hn::Mul(hn::BitCast(d, magnitude), hn::Set(d, 0x1p112F));
  const auto special =
      hn::Ge(hn::BitCast(d, magnitude), hn::BitCast(d, hn::Set(du32, 0x0f800000U)));
  const auto filled =
      hn::Or(hn::BitCast(du32, scaled),
             hn::IfThenElseZero(hn::RebindMask(du32, special), hn::Set(du32, 0x7f800000U)));
  return hn::BitCast(d, hn::Or(filled, sign));
}

/// One element as f32.
HWY_INLINE float load_weight_scalar(const float* source) { return *source; }
/// One element as f32.
HWY_INLINE float load_weight_scalar(const Bf16* source) { return float_from_bf16(source->bits); }
/// One element as f32.
HWY_INLINE float load_weight_scalar(const F16* source) { return float_from_f16(source->bits); }

/// Calls `body` with the weight pointer in its own type: float, Bf16 or F16.
template <class Body>
HWY_INLINE void with_weight_type(const void* data, DType dtype, Body&& body) {
  switch (dtype) {
    case DType::bf16:
      return body(static_cast<const Bf16*>(data));
    case DType::f16:
      return body(static_cast<const F16*>(data));
    default:
      return body(static_cast<const float*>(data));
  }
}

}  // namespace espalier::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
