#include "binding/ops/rope.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "test/binding/devices.h"
#include "test/binding/finite_differences.h"

namespace espalier::test {
namespace {

std::vector<float> inverse_frequencies(int64_t half) {
  std::vector<float> result;
  for (int64_t i = 0; i < half; ++i) {
    result.push_back(
        static_cast<float>(std::pow(10000.0, -static_cast<double>(i) / static_cast<double>(half))));
  }
  return result;
}

std::vector<double> reference(const std::vector<float>& x, const Shape& shape,
                              const std::vector<float>& frequencies, int64_t offset, double scale) {
  const int64_t half = shape[3] / 2;
  std::vector<double> y(x.size());
  for (int64_t head = 0; head < shape[0] * shape[1] * shape[2]; ++head) {
    const int64_t position = offset + head / shape[2] % shape[1];
    for (int64_t i = 0; i < half; ++i) {
      const double angle =
          static_cast<double>(position) * static_cast<double>(frequencies[static_cast<size_t>(i)]);
      const auto first = static_cast<size_t>(head * 2 * half + i);
      const auto second = first + static_cast<size_t>(half);
      const double a = x[first];
      const double b = x[second];
      y[first] = scale * (a * std::cos(angle) - b * std::sin(angle));
      y[second] = scale * (b * std::cos(angle) + a * std::sin(angle));
    }
  }
  return y;
}

Tensor rotate(Device& device, const std::vector<float>& x, const Shape& shape, int64_t offset,
              double scale = 1) {
  const int64_t half = shape[3] / 2;
  return ops::rope(upload(device, x, shape), upload(device, inverse_frequencies(half), {half}),
                   offset, scale);
}

TEST_CASE("rope equals the double-precision formula for any head size, offset and scale") {
  for (Device* device : devices()) {
    for (const int64_t columns : {2, 6, 8, 34, 64, 126, 256}) {
      for (const int64_t offset : {int64_t{0}, int64_t{7}, int64_t{130000}}) {
        const Shape shape{2, 5, 3, columns};
        const auto x = random_values(static_cast<size_t>(shape.elements()), 1);
        const auto expected = reference(x, shape, inverse_frequencies(columns / 2), offset, 1.25);
        CHECK(normalised_error(download(rotate(*device, x, shape, offset, 1.25)), expected) <
              1e-13);
      }
    }
  }
}

TEST_CASE("rope leaves position 0 alone and keeps the length of every pair") {
  for (Device* device : devices()) {
    const Shape shape{1, 40, 2, 16};
    const auto x = random_values(static_cast<size_t>(shape.elements()), 2);
    const auto y = download(rotate(*device, x, shape, 0));
    CHECK(std::equal(x.begin(), x.begin() + 32, y.begin()));
    for (size_t head = 0; head < 80; ++head) {
      for (size_t i = 0; i < 8; ++i) {
        const size_t at = head * 16 + i;
        CHECK(std::hypot(y[at], y[at + 8]) ==
              doctest::Approx(std::hypot(x[at], x[at + 8])).epsilon(1e-5));
      }
    }
  }
}

TEST_CASE("rope of a part with its offset equals that part of the whole") {
  for (Device* device : devices()) {
    const auto x = random_values(10 * 3 * 8, 3);
    const auto whole = download(rotate(*device, x, {1, 10, 3, 8}, 0));
    const std::vector<float> part(x.begin() + 6 * 24, x.end());
    const auto rotated = download(rotate(*device, part, {1, 4, 3, 8}, 6));
    CHECK(std::equal(rotated.begin(), rotated.end(), whole.begin() + 6 * 24));
  }
}

TEST_CASE("inverse rope is the gradient: y·rope(x) equals rope⁻¹(y)·x, scale included") {
  for (Device* device : devices()) {
    const auto x = random_values(5 * 3 * 22, 3);
    const auto y = random_values(x.size(), 4);
    const Tensor frequencies = upload(*device, random_values(11, 5), {11});
    const Shape shape{1, 5, 3, 22};
    const auto forward = download(ops::rope(upload(*device, x, shape), frequencies, 7, 1.5));
    const auto back = download(ops::rope(upload(*device, y, shape), frequencies, 7, 1.5, true));
    CHECK(dot(forward, y) == doctest::Approx(dot(back, x)).epsilon(1e-5));
    CHECK(dot(forward, y) != doctest::Approx(dot(forward, x)).epsilon(1e-3));
  }
}

TEST_CASE("rope keeps NaN within its pair, and takes empty tensors") {
  for (Device* device : devices()) {
    std::vector<float> x(64, 1.0F);
    x[3] = std::numeric_limits<float>::quiet_NaN();
    const auto y = download(rotate(*device, x, {1, 1, 2, 32}, 5));
    for (size_t i = 0; i < y.size(); ++i) CHECK(std::isnan(y[i]) == (i == 3 || i == 19));
    CHECK(download(rotate(*device, {}, {1, 0, 2, 8}, 0)).empty());
    CHECK(download(rotate(*device, {}, {1, 2, 2, 0}, 0)).empty());
  }
}

TEST_CASE("rope names the argument that does not fit") {
  Device& device = *devices().front();
  const Tensor x(device, {1, 2, 3, 8}, DType::f32);
  const Tensor frequencies(device, {4}, DType::f32);
  CHECK_THROWS_WITH_AS(ops::rope(Tensor(device, {1, 2, 3, 7}, DType::f32), frequencies, 0, 1),
                       "x: expected an even head size, got [1, 2, 3, 7]", Error);
  CHECK_THROWS_WITH_AS(ops::rope(x, Tensor(device, {8}, DType::f32), 0, 1),
                       "inverseFrequencies: expected [4], got [8]", Error);
  CHECK_THROWS_AS(ops::rope(x, frequencies, -1, 1), Error);
  CHECK_THROWS_AS(ops::rope(x, frequencies, 0, std::nan("")), Error);
  CHECK_THROWS_AS(ops::rope(Tensor(device, {2, 8}, DType::f32), frequencies, 0, 1), Error);
}

}  // namespace
}  // namespace espalier::test
