#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "test/binding/cpu/simd_math.test.cc"
#include "hwy/foreach_target.h"  // keeps its place before highway.h
#include "hwy/highway.h"
//
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "binding/cpu/simd_math.h"

HWY_BEFORE_NAMESPACE();
namespace espalier::test::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

float exp_of(float x) {
  const hn::ScalableTag<float> d;
  return hn::GetLane(cpu::HWY_NAMESPACE::exp(d, hn::Set(d, x)));
}

}  // namespace
}  // namespace espalier::test::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace espalier::test {
namespace {

HWY_EXPORT(exp_of);

// Runs `body` once for every instruction set that this machine has and the build knows.
template <class Body>
void for_each_target(Body body) {
  for (int64_t left = hwy::SupportedTargets() & HWY_TARGETS; left != 0; left &= left - 1) {
    hwy::SetSupportedTargetsForTest(left & -left);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    CAPTURE(hwy::TargetName(left & -left));
    body();
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().DeInit();
}

TEST_CASE("exp is within 2e-7 of the exact value for every instruction set") {
  for_each_target([] {
    double worst = 0;
    for (float x = -87.3F; x < 88.7F; x += 0.00317F) {
      const double expected = std::exp(static_cast<double>(x));
      const double error = std::abs(HWY_DYNAMIC_DISPATCH(exp_of)(x) - expected) / expected;
      if (!(error <= worst)) worst = error;
    }
    CHECK(worst < 2e-7);
    CHECK(HWY_DYNAMIC_DISPATCH(exp_of)(0.0F) == 1.0F);
  });
}

TEST_CASE("exp underflows gradually, overflows to infinity and keeps NaN") {
  static constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for_each_target([] {
    CHECK(HWY_DYNAMIC_DISPATCH(exp_of)(-90.0F) == doctest::Approx(std::exp(-90.0)).epsilon(1e-5));
    CHECK(HWY_DYNAMIC_DISPATCH(exp_of)(-104.0F) == 0.0F);
    CHECK(HWY_DYNAMIC_DISPATCH(exp_of)(-kInfinity) == 0.0F);
    CHECK(HWY_DYNAMIC_DISPATCH(exp_of)(88.72F) < kInfinity);
    CHECK(HWY_DYNAMIC_DISPATCH(exp_of)(88.73F) == kInfinity);
    CHECK(HWY_DYNAMIC_DISPATCH(exp_of)(kInfinity) == kInfinity);
    CHECK(std::isnan(HWY_DYNAMIC_DISPATCH(exp_of)(std::numeric_limits<float>::quiet_NaN())));
  });
}

}  // namespace
}  // namespace espalier::test
#endif
