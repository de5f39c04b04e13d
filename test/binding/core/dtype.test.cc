#include "binding/core/dtype.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

namespace espalier::test {
namespace {

// The value of a 16-bit float, straight from its definition.
double value_of(uint16_t bits, int exponent_bits) {
  const int mantissa_bits = 15 - exponent_bits;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = (bits >> mantissa_bits) & ((1 << exponent_bits) - 1);
  const int mantissa = bits & ((1 << mantissa_bits) - 1);
  double value = std::numeric_limits<double>::infinity();
  if (exponent == (1 << exponent_bits) - 1) {
    if (mantissa != 0) return std::nan("");
  } else if (exponent == 0) {
    value = std::ldexp(mantissa, 1 - bias - mantissa_bits);
  } else {
    value = std::ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
  }
  return (bits & 0x8000U) != 0 ? -value : value;
}

// A 16-bit float type: exponent width and the conversions under test.
struct Format {
  int exponent_bits;
  float (*widen)(uint16_t);
  uint16_t (*narrow)(float);
};

constexpr Format kFormats[] = {{8, float_from_bf16, bf16_from_float},
                               {5, float_from_f16, f16_from_float}};

// Nearest-even rounding by search: the positive finite patterns are in ascending order.
uint16_t nearest(float value, int exponent_bits, const std::vector<double>& positive) {
  const auto sign = static_cast<uint16_t>(std::signbit(value) ? 0x8000U : 0U);
  const double magnitude = std::abs(static_cast<double>(value));
  const auto above = std::lower_bound(positive.begin(), positive.end(), magnitude);
  const auto index = static_cast<uint16_t>(above - positive.begin());
  if (index == 0) return sign;
  const double below = positive[index - 1];
  // Past the largest finite value stands what the next exponent would hold; it means infinity.
  const double next =
      index < positive.size() ? positive[index] : std::ldexp(1.0, (1 << (exponent_bits - 1)));
  const double middle = (below + next) / 2;
  const bool up = magnitude > middle || (magnitude == middle && index % 2 == 0);
  return static_cast<uint16_t>(sign | (up ? index : index - 1));
}

TEST_CASE("every 16-bit pattern widens to its value and narrows back to itself") {
  for (const Format& format : kFormats) {
    int wrong = 0;
    for (uint32_t pattern = 0; pattern < 0x10000; ++pattern) {
      const auto bits = static_cast<uint16_t>(pattern);
      const double expected = value_of(bits, format.exponent_bits);
      const float widened = format.widen(bits);
      if (std::isnan(expected)) {
        if (!std::isnan(widened) || !std::isnan(format.widen(format.narrow(widened)))) ++wrong;
      } else if (static_cast<double>(widened) != expected ||
                 std::signbit(widened) != std::signbit(expected) ||
                 format.narrow(widened) != bits) {
        ++wrong;
      }
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("narrowing rounds to the nearest value, ties to even, around every representable one") {
  for (const Format& format : kFormats) {
    std::vector<double> positive;
    for (uint32_t pattern = 0; pattern < 0x8000; ++pattern) {
      const double value = value_of(static_cast<uint16_t>(pattern), format.exponent_bits);
      if (std::isfinite(value)) positive.push_back(value);
    }
    int wrong = 0;
    const auto check = [&](float value) {
      if (!std::isfinite(value)) return;
      for (const float signed_value : {value, -value}) {
        if (format.narrow(signed_value) != nearest(signed_value, format.exponent_bits, positive)) {
          ++wrong;
        }
      }
    };
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    for (size_t i = 0; i < positive.size(); ++i) {
      const double next =
          i + 1 < positive.size() ? positive[i + 1] : 2 * positive[i] - positive[i - 1];
      const auto middle = static_cast<float>((positive[i] + next) / 2);
      for (const float value : {static_cast<float>(positive[i]), middle}) {
        check(value);
        check(std::nextafter(value, 0.0F));
        check(std::nextafter(value, kInfinity));
      }
    }
    check(std::numeric_limits<float>::max());
    check(std::numeric_limits<float>::denorm_min());
    CHECK(wrong == 0);
  }
}

TEST_CASE("infinities and NaN narrow to themselves") {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const Format& format : kFormats) {
    CHECK(format.widen(format.narrow(kInfinity)) == kInfinity);
    CHECK(format.widen(format.narrow(-kInfinity)) == -kInfinity);
    // NaNs whose payload sits only in the bits that are cut off must not become infinite.
    for (const uint32_t bits : {0x7f800001U, 0xff800001U, 0x7fc00000U, 0x7fffffffU}) {
      CHECK(std::isnan(format.widen(format.narrow(std::bit_cast<float>(bits)))));
    }
  }
}

TEST_CASE("dtype names and sizes agree with each other") {
  for (const DType dtype :
       {DType::f32, DType::bf16, DType::f16, DType::f64, DType::i64, DType::i32, DType::u8}) {
    CHECK(parse_dtype(name_of(dtype)) == dtype);
    CHECK(size_of(dtype) > 0);
  }
  CHECK_FALSE(parse_dtype("f8").has_value());
  CHECK_FALSE(parse_dtype("").has_value());
}

}  // namespace
}  // namespace espalier::test
