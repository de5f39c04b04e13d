// Loops over the columns of a row. Include after highway.h, inside a dispatched target: the
// functions live in that target's namespace.
#if defined(ESPALIER_COLUMNS_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ESPALIER_COLUMNS_H_
#undef ESPALIER_COLUMNS_H_
#else
#define ESPALIER_COLUMNS_H_
#endif

#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace espalier::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// Calls body(tag, c) for every vector of f32 columns, then with vectors of one for the rest.
template <class Body>
HWY_INLINE void for_columns(int64_t columns, Body&& body) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t c = 0;
  for (; c + lanes <= columns; c += lanes) body(d, c);
  for (; c < columns; ++c) body(hn::CappedTag<float, 1>(), c);
}

/// Σ_c term(tag, c), in f32 by vector lanes, four vectors wide.
template <class Term>
HWY_INLINE float sum_columns(int64_t columns, Term&& term) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  auto sum0 = hn::Zero(d);
  auto sum1 = hn::Zero(d);
  auto sum2 = hn::Zero(d);
  auto sum3 = hn::Zero(d);
  int64_t c = 0;
  for (; c + 4 * lanes <= columns; c += 4 * lanes) {
    sum0 = hn::Add(sum0, term(d, c));
    sum1 = hn::Add(sum1, term(d, c + lanes));
    sum2 = hn::Add(sum2, term(d, c + 2 * lanes));
    sum3 = hn::Add(sum3, term(d, c + 3 * lanes));
  }
  for (; c + lanes <= columns; c += lanes) sum0 = hn::Add(sum0, term(d, c));
  const auto total = hn::Add(hn::Add(sum0, sum1), hn::Add(sum2, sum3));
  float sum = hn::GetLane(hn::SumOfLanes(d, total));
  for (; c < columns; ++c) sum += hn::GetLane(term(hn::CappedTag<float, 1>(), c));
  return sum;
}

}  // namespace espalier::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
