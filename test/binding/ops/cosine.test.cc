#include "binding/ops/cosine.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "test/binding/devices.h"

namespace espalier::test {
namespace {

std::vector<float> cosine(Device& device, const std::vector<float>& x, const std::vector<float>& y,
                          const Shape& shape) {
  return download(ops::cosine(upload(device, x, shape), upload(device, y, shape)));
}

TEST_CASE("cosine equals the double-precision formula for any width") {
  for (Device* device : devices()) {
    for (const int64_t columns : {1, 2, 7, 16, 33, 500, 1001}) {
      const auto x = random_values(static_cast<size_t>(20 * columns), 1);
      const auto y = random_values(static_cast<size_t>(20 * columns), 2);
      std::vector<double> expected;
      for (int64_t row = 0; row < 20; ++row) {
        double xy = 0;
        double xx = 0;
        double yy = 0;
        for (int64_t c = 0; c < columns; ++c) {
          const double u = x[static_cast<size_t>(row * columns + c)];
          const double v = y[static_cast<size_t>(row * columns + c)];
          xy += u * v;
          xx += u * u;
          yy += v * v;
        }
        expected.push_back(xy / std::sqrt(xx * yy));
      }
      CHECK(normalised_error(cosine(*device, x, y, {4, 5, columns}), expected) < 1e-14);
    }
  }
}

TEST_CASE("cosine is 1 with itself, -1 with the opposite and 0 without length, at any magnitude") {
  for (Device* device : devices()) {
    for (const float magnitude : {1e-30F, 1.0F, 1e30F}) {
      const auto x = random_values(50, 3, magnitude);
      std::vector<float> opposite;
      for (const float value : x) opposite.push_back(-3 * value);
      CHECK(cosine(*device, x, x, {1, 50})[0] == doctest::Approx(1.0));
      CHECK(cosine(*device, x, opposite, {1, 50})[0] == doctest::Approx(-1.0));
      CHECK(cosine(*device, x, std::vector<float>(50), {1, 50})[0] == 0);
    }
    CHECK(cosine(*device, {}, {}, {3, 0}) == std::vector<float>(3));
    CHECK(cosine(*device, {}, {}, {0, 3}).empty());
  }
}

TEST_CASE("cosine keeps NaN and infinity within their row") {
  for (Device* device : devices()) {
    std::vector<float> x(3 * 20, 1.0F);
    x[5] = std::numeric_limits<float>::quiet_NaN();
    x[25] = std::numeric_limits<float>::infinity();
    const auto result = cosine(*device, x, std::vector<float>(60, 2.0F), {3, 20});
    CHECK(std::isnan(result[0]));
    CHECK(std::isnan(result[1]));
    CHECK(result[2] == doctest::Approx(1.0));
  }
}

TEST_CASE("cosine names the argument that does not fit") {
  Device& device = *devices().front();
  const Tensor x(device, {2, 4}, DType::f32);
  CHECK_THROWS_WITH_AS(ops::cosine(x, Tensor(device, {4, 2}, DType::f32)),
                       "y: expected [2, 4], got [4, 2]", Error);
  CHECK_THROWS_AS(ops::cosine(Tensor(device, Shape(), DType::f32), x), Error);
}

}  // namespace
}  // namespace espalier::test
