#include "binding/ops/squared_error.h"

#include <doctest/doctest.h>

#include <cmath>

#include "test/binding/devices.h"

namespace espalier::test {
namespace {

TEST_CASE("squaredError sums in f64 at any size, with and without y") {
  for (Device* device : devices()) {
    for (const size_t count : {0, 1, 17, 16384, 100001}) {
      const auto x = random_values(count, 1, 1e3F);
      const auto y = random_values(count, 2);
      long double difference = 0;
      long double squares = 0;
      for (size_t i = 0; i < count; ++i) {
        const long double d = static_cast<long double>(x[i]) - y[i];
        difference += d * d;
        squares += static_cast<long double>(x[i]) * x[i];
      }
      const Shape shape{static_cast<int64_t>(count)};
      const Tensor left = upload(*device, x, shape);
      const auto close = [](double got, long double expected) {
        return std::abs(static_cast<long double>(got) - expected) <= 1e-13L * expected;
      };
      CHECK(close(download<double>(ops::squared_error(left, upload(*device, y, shape)))[0],
                  difference));
      CHECK(close(download<double>(ops::squared_error(left, std::nullopt))[0], squares));
      const std::vector<double> wide(x.begin(), x.end());
      CHECK(close(
          download<double>(ops::squared_error(upload(*device, wide, shape, DType::f64), {}))[0],
          squares));
    }
  }
}

TEST_CASE("squaredError propagates NaN and names the argument that does not fit") {
  Device& device = *devices().front();
  std::vector<float> x(50000, 1.0F);
  x[40000] = std::nanf("");
  CHECK(std::isnan(download<double>(ops::squared_error(upload(device, x, {50000}), {}))[0]));
  const Tensor left(device, {2, 3}, DType::f32);
  CHECK_THROWS_WITH_AS(ops::squared_error(left, Tensor(device, {6}, DType::f32)),
                       "y: expected [2, 3], got [6]", Error);
  CHECK_THROWS_AS(ops::squared_error(left, Tensor(device, {2, 3}, DType::f64)), Error);
  CHECK_THROWS_AS(ops::squared_error(Tensor(device, {2}, DType::i32), {}), Error);
}

}  // namespace
}  // namespace espalier::test
