#include "binding/ops/cast.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "test/binding/devices.h"

namespace espalier::test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <class T>
std::vector<T> cast_from(Device& device, const std::vector<double>& values, DType to) {
  const auto count = static_cast<int64_t>(values.size());
  return download<T>(ops::cast(upload(device, values, {count}, DType::f64), to));
}

TEST_CASE("cast to integers truncates, saturates and takes NaN to 0") {
  for (Device* device : devices()) {
    const std::vector<double> values{-1.9,      1.9,          255.5, 256, -kInfinity,
                                     kInfinity, std::nan(""), 3e9,   1e30};
    CHECK(cast_from<uint8_t>(*device, values, DType::u8) ==
          std::vector<uint8_t>{0, 1, 255, 255, 0, 255, 0, 255, 255});
    constexpr int32_t kMost = std::numeric_limits<int32_t>::max();
    constexpr int32_t kLeast = std::numeric_limits<int32_t>::min();
    CHECK(cast_from<int32_t>(*device, values, DType::i32) ==
          std::vector<int32_t>{-1, 1, 255, 256, kLeast, kMost, 0, kMost, kMost});
    CHECK(cast_from<int64_t>(*device, values, DType::i64)[8] ==
          std::numeric_limits<int64_t>::max());
    const Tensor wide =
        upload(*device, std::vector<int64_t>{-5, 300, int64_t{1} << 40}, {3}, DType::i64);
    CHECK(download<uint8_t>(ops::cast(wide, DType::u8)) == std::vector<uint8_t>{0, 255, 255});
    CHECK(download<int32_t>(ops::cast(wide, DType::i32)) == std::vector<int32_t>{-5, 300, kMost});
    CHECK(download<float>(ops::cast(wide, DType::f32)) == std::vector<float>{-5, 300, 0x1p40F});
  }
}

TEST_CASE("cast rounds f64 and i64 to 16 bits once, ties to even") {
  for (Device* device : devices()) {
    // Just above a tie between two bf16 values, but on the tie once rounded to f32.
    CHECK(cast_from<uint16_t>(*device, {1 + 0x1p-8, 1 + 0x1p-8 + 0x1p-40, 1e300, -kInfinity},
                              DType::bf16) ==
          std::vector<uint16_t>{0x3f80, 0x3f81, 0x7f80, 0xff80});
    CHECK(cast_from<uint16_t>(*device, {1 + 0x1p-11, 1 + 0x1p-11 + 0x1p-40, 65520, 0x1p-25},
                              DType::f16) == std::vector<uint16_t>{0x3c00, 0x3c01, 0x7c00, 0});
    const Tensor wide = upload(
        *device, std::vector<int64_t>{257, (int64_t{257} << 50), (int64_t{257} << 50) + 1, -257},
        {4}, DType::i64);
    CHECK(download<uint16_t>(ops::cast(wide, DType::bf16)) ==
          std::vector<uint16_t>{0x4380, 0x5c80, 0x5c81, 0xc380});
  }
}

TEST_CASE("cast from every 16-bit pattern to f32 and back is the identity") {
  for (Device* device : devices()) {
    std::vector<uint16_t> bits(65536);
    for (size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<uint16_t>(i);
    for (const DType dtype : {DType::bf16, DType::f16}) {
      const Tensor wide = ops::cast(upload(*device, bits, {65536}, dtype), DType::f32);
      const auto values = download(wide);
      const auto back = download<uint16_t>(ops::cast(wide, dtype));
      size_t wrong = 0;
      for (size_t i = 0; i < bits.size(); ++i) {
        const float expected =
            dtype == DType::bf16 ? float_from_bf16(bits[i]) : float_from_f16(bits[i]);
        if (std::isnan(expected)) {
          wrong += std::isnan(values[i]) ? 0 : 1;
        } else {
          wrong += values[i] == expected && back[i] == bits[i] ? 0 : 1;
        }
      }
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("cast to the same dtype copies, and takes empty tensors") {
  for (Device* device : devices()) {
    const auto values = random_values(100, 1);
    CHECK(download(ops::cast(upload(*device, values, {100}), DType::f32)) == values);
    CHECK(download<uint8_t>(ops::cast(Tensor(*device, {0}, DType::f64), DType::u8)).empty());
  }
}

}  // namespace
}  // namespace espalier::test
