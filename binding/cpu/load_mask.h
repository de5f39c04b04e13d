// Reading masks of bytes. Include after highway.h, inside a dispatched target: the function lives
// in that target's namespace.
#if defined(ESPALIER_LOAD_MASK_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ESPALIER_LOAD_MASK_H_
#undef ESPALIER_LOAD_MASK_H_
#else
#define ESPALIER_LOAD_MASK_H_
#endif

#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace espalier::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// Which of the next lanes have a byte that is not 0.
template <class D>
HWY_INLINE hn::Mask<D> load_mask(D d, const uint8_t* bytes) {
  const hn::RebindToUnsigned<D> du32;
  const hn::Rebind<uint8_t, D> du8;
  const auto wide = hn::PromoteTo(du32, hn::LoadU(du8, bytes));
  return hn::RebindMask(d, hn::Ne(wide, hn::Zero(du32)));
}

}  // namespace espalier::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
