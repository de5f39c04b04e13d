// Inverted dropout: y_i = x_i m_i / (1 - p), with the mask m made from the element's position and a
// seed (philox.h), so that the gradient makes the same mask again. Any part of a mask is
// independent of the rest: threads do not change the bits.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "binding/cpu/dropout.cc"
#include "hwy/foreach_target.h"  // keeps its place before highway.h
#include "hwy/highway.h"
//
#include <algorithm>

#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/philox.h"

HWY_BEFORE_NAMESPACE();
namespace espalier::cpu::HWY_NAMESPACE {
namespace {

constexpr int64_t kChunk = 4096;

void dropout(const DropoutArguments& a) {
  const DropoutMask mask(a.probability, a.seed);
  const int64_t count = a.x.shape.elements();
#pragma omp parallel for schedule(static) if (count > 4 * kChunk)
  for (int64_t start = 0; start < count; start += kChunk) {
    apply_dropout(mask, static_cast<uint64_t>(start), a.x.as<float>() + start,
                  a.output.as<float>() + start, std::min(kChunk, count - start));
  }
}

}  // namespace
}  // namespace espalier::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace espalier::cpu {

HWY_EXPORT(dropout);

Status CpuBackend::dropout(const DropoutArguments& arguments) {
  HWY_DYNAMIC_DISPATCH(dropout)(arguments);
  return {};
}

}  // namespace espalier::cpu
#endif
