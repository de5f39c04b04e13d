// Conversion of single values between the element types, rounded once. Everything is constexpr, so
// that kernels of any backend can call it.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "binding/core/dtype.h"

namespace espalier {

/// An element of a bf16 tensor.
struct Bfloat16 {
  uint16_t bits;
};
/// An element of an f16 tensor.
struct Float16 {
  uint16_t bits;
};

/// Calls `body` with a value of the C++ type behind `dtype`, for its type only.
template <class Body>
auto with_element_type(DType dtype, Body&& body) {
  switch (dtype) {
    case DType::bf16:
      return body(Bfloat16{});
    case DType::f16:
      return body(Float16{});
    case DType::f64:
      return body(double{});
    case DType::i64:
      return body(int64_t{});
    case DType::i32:
      return body(int32_t{});
    case DType::u8:
      return body(uint8_t{});
    case DType::f32:
      break;
  }
  return body(float{});
}

/// double to float, with the last bit set when anything was lost ("round to odd"): rounding the
/// result again to 16 bits then gives what rounding the double at once would have given.
constexpr float odd_float(double value) {
  const auto nearest = static_cast<float>(value);
  const auto back = static_cast<double>(nearest);
  if (back == value || value != value) return nearest;
  auto bits = std::bit_cast<uint32_t>(nearest);
  if (value < 0 ? back < value : back > value) --bits;
  return std::bit_cast<float>(bits | 1U);
}

/// An integer as a double that rounds to 16-bit floats as the integer itself does: of large ones,
/// low bits are folded into one that says whether any was set.
constexpr double foldable_double(int64_t value) {
  const bool negative = value < 0;
  uint64_t magnitude = negative ? ~static_cast<uint64_t>(value) + 1 : static_cast<uint64_t>(value);
  if (magnitude >= uint64_t{1} << 40) {
    constexpr uint64_t kLow = (uint64_t{1} << 20) - 1;
    magnitude = (magnitude & ~kLow) | ((magnitude & kLow) != 0 ? kLow + 1 : 0);
  }
  return negative ? -static_cast<double>(magnitude) : static_cast<double>(magnitude);
}

/// To nearest even into floats; towards zero and saturated into integers, NaN to 0.
template <class To, class From>
constexpr To convert(From value) {
  if constexpr (std::is_same_v<To, From>) {
    return value;
  } else if constexpr (std::is_same_v<From, Bfloat16>) {
    return convert<To>(float_from_bf16(value.bits));
  } else if constexpr (std::is_same_v<From, Float16>) {
    return convert<To>(float_from_f16(value.bits));
  } else if constexpr (std::is_same_v<To, Bfloat16> || std::is_same_v<To, Float16>) {
    float single = 0;
    if constexpr (std::is_same_v<From, float>) {
      single = value;
    } else if constexpr (std::is_same_v<From, double>) {
      single = odd_float(value);
    } else {
      single = odd_float(foldable_double(value));
    }
    if constexpr (std::is_same_v<To, Bfloat16>)
      return {bf16_from_float(single)};
    else
      return {f16_from_float(single)};
  } else if constexpr (std::floating_point<To>) {
    return static_cast<To>(value);
  } else if constexpr (std::integral<From>) {
    if constexpr (std::is_unsigned_v<To> && std::is_signed_v<From>) {
      if (value < 0) return 0;
    }
    if (static_cast<int64_t>(value) > static_cast<int64_t>(std::numeric_limits<To>::max())) {
      return std::numeric_limits<To>::max();
    }
    if (static_cast<int64_t>(value) < static_cast<int64_t>(std::numeric_limits<To>::min())) {
      return std::numeric_limits<To>::min();
    }
    return static_cast<To>(value);
  } else {
    // The largest integer may round up to 2^n as a float; what reaches that saturates.
    constexpr auto kHalf = uint64_t{1} << (std::numeric_limits<To>::digits - 1);
    constexpr From kLimit = From{2} * static_cast<From>(kHalf);
    if (value != value) return 0;
    if (value >= kLimit) return std::numeric_limits<To>::max();
    if (value <= static_cast<From>(std::numeric_limits<To>::min())) {
      return std::numeric_limits<To>::min();
    }
    return static_cast<To>(value);
  }
}

}  // namespace espalier
