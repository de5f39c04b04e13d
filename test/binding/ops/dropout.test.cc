#include "binding/ops/dropout.h"

#include <doctest/doctest.h>

#include <cmath>

#include "hwy/highway.h"
//
#include "binding/cpu/philox.h"
#include "test/binding/devices.h"

namespace espalier::test {
namespace {

TEST_CASE("dropout keeps what the counter of each element says, for any length") {
  for (Device* device : devices()) {
    for (const int64_t count : {0, 1, 3, 4, 31, 33, 4099, 20003}) {
      const auto x = random_values(static_cast<size_t>(count), 1);
      const uint64_t seed = 77 + (uint64_t{5} << 40);
      const auto y = download(ops::dropout(upload(*device, x, {count}), 0.3, seed));
      const cpu::DropoutMask mask(0.3, seed);
      for (size_t i = 0; i < x.size(); ++i) CHECK(y[i] == x[i] * mask[i]);
    }
  }
}

TEST_CASE("dropout drops the share it is asked to and keeps the mean") {
  for (Device* device : devices()) {
    constexpr int64_t kCount = 200000;
    const Tensor ones = upload(*device, std::vector<float>(kCount, 1.0F), {kCount});
    for (const double probability : {0.0, 0.05, 0.5, 0.9}) {
      double sum = 0;
      double zeros = 0;
      for (const float value : download(ops::dropout(ones, probability, 3))) {
        sum += static_cast<double>(value) / kCount;
        zeros += value == 0 ? 1.0 / kCount : 0;
      }
      CHECK(std::abs(zeros - probability) < 0.005);
      CHECK(std::abs(sum - 1) < 0.03);
    }
  }
}

TEST_CASE("dropout masks differ between seeds and stay the same for one") {
  Device& device = *devices().front();
  const Tensor ones = upload(device, std::vector<float>(256, 1.0F), {256});
  const auto mask = [&](uint64_t seed) { return download(ops::dropout(ones, 0.5, seed)); };
  CHECK(mask(1) == mask(1));
  CHECK(mask(1) != mask(2));
  CHECK(mask(1) != mask(1 + (uint64_t{1} << 32)));
}

TEST_CASE("dropout refuses a probability that leaves nothing") {
  const Tensor x(*devices().front(), {4}, DType::f32);
  for (const double probability : {1.0, -0.1, std::nan("")}) {
    CHECK_THROWS_AS(ops::dropout(x, probability, 0), Error);
  }
}

}  // namespace
}  // namespace espalier::test
