#include "binding/ops/swiglu.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "test/binding/devices.h"

namespace espalier::test {
namespace {

TEST_CASE("swiglu equals the double-precision formula for any count") {
  for (Device* device : devices()) {
    for (const int64_t count : {1, 3, 16, 17, 255, 4096, 4097, 10001}) {
      const auto gate = random_values(static_cast<size_t>(count), 1, 4.0F);
      const auto up = random_values(static_cast<size_t>(count), 2);
      std::vector<double> expected;
      for (size_t i = 0; i < gate.size(); ++i) {
        const auto g = static_cast<double>(gate[i]);
        expected.push_back(g / (1 + std::exp(-g)) * static_cast<double>(up[i]));
      }
      const auto y =
          download(ops::swiglu(upload(*device, gate, {count}), upload(*device, up, {count})));
      CHECK(normalised_error(y, expected) < 1e-13);
    }
  }
}

TEST_CASE("swiglu approaches the identity and zero at the ends, keeps NaN, takes empty tensors") {
  for (Device* device : devices()) {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    const std::vector<float> gate{200, -200, 1e30F, -1e30F, kInfinity, std::nanf(""), 0, 1};
    const std::vector<float> up{1, 1, 1, 1, 1, 1, 1, std::nanf("")};
    const auto y = download(ops::swiglu(upload(*device, gate, {8}), upload(*device, up, {8})));
    CHECK(y[0] == 200);
    CHECK(y[1] == 0);
    CHECK(y[2] == 1e30F);
    CHECK(y[3] == 0);
    CHECK(y[4] == kInfinity);
    CHECK(std::isnan(y[5]));
    CHECK(y[6] == 0);
    CHECK(std::isnan(y[7]));
    const Tensor empty = upload(*device, std::vector<float>{}, {0, 16});
    CHECK(download(ops::swiglu(empty, empty)).empty());
  }
}

TEST_CASE("swiglu names the argument that does not fit") {
  Device& device = *devices().front();
  const Tensor gate(device, {2, 4}, DType::f32);
  CHECK_THROWS_WITH_AS(ops::swiglu(gate, Tensor(device, {8}, DType::f32)),
                       "up: expected [2, 4], got [8]", Error);
  CHECK_THROWS_AS(ops::swiglu(Tensor(device, {4}, DType::bf16), gate), Error);
}

}  // namespace
}  // namespace espalier::test
