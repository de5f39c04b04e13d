#include "binding/ops/elementwise.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "test/binding/devices.h"

namespace espalier::test {
namespace {

template <class T>
void check(Device& device, DType dtype, size_t count) {
  const auto a = random_values(count, 1);
  const auto b = random_values(count, 2);
  const std::vector<T> x(a.begin(), a.end());
  const std::vector<T> y(b.begin(), b.end());
  std::vector<T> sum;
  std::vector<T> difference;
  std::vector<T> product;
  for (size_t i = 0; i < count; ++i) {
    sum.push_back(x[i] + y[i]);
    difference.push_back(x[i] - y[i]);
    product.push_back(x[i] * y[i]);
  }
  const Shape shape{static_cast<int64_t>(count)};
  const Tensor left = upload(device, x, shape, dtype);
  const Tensor right = upload(device, y, shape, dtype);
  CHECK(download<T>(ops::elementwise(ElementwiseKind::add, left, right)) == sum);
  CHECK(download<T>(ops::elementwise(ElementwiseKind::subtract, left, right)) == difference);
  CHECK(download<T>(ops::elementwise(ElementwiseKind::multiply, left, right)) == product);
}

TEST_CASE("add, subtract and multiply are exactly rounded, at any size") {
  for (Device* device : devices()) {
    for (const size_t count : {0, 1, 7, 64, 70001}) {
      check<float>(*device, DType::f32, count);
      check<double>(*device, DType::f64, count);
    }
  }
}

TEST_CASE("elementwise ops propagate NaN and infinity and may share their arguments") {
  for (Device* device : devices()) {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    const Tensor x = upload(*device, std::vector<float>{std::nanf(""), kInfinity, 2}, {3});
    const auto y = download(ops::elementwise(ElementwiseKind::subtract, x, x));
    CHECK(std::isnan(y[0]));
    CHECK(std::isnan(y[1]));
    CHECK(y[2] == 0.0F);
  }
}

TEST_CASE("elementwise ops name the argument that does not fit") {
  Device& device = *devices().front();
  const Tensor x(device, {2, 3}, DType::f32);
  const Tensor other(device, {3, 2}, DType::f32);
  CHECK_THROWS_WITH_AS(ops::elementwise(ElementwiseKind::add, x, other),
                       "y: expected [2, 3], got [3, 2]", Error);
  CHECK_THROWS_AS(ops::elementwise(ElementwiseKind::add, x, Tensor(device, {2, 3}, DType::f64)),
                  Error);
  const Tensor bytes(device, {2}, DType::u8);
  CHECK_THROWS_AS(ops::elementwise(ElementwiseKind::add, bytes, bytes), Error);
}

TEST_CASE("multiplyInto multiplies in place and keeps apart memory apart") {
  for (Device* device : devices()) {
    const Tensor target = upload(*device, std::vector<float>{1, -2, 3}, {3});
    ops::multiply_into(target, upload(*device, std::vector<float>{4, 5, 0}, {3}));
    CHECK(download(target) == std::vector<float>{4, -10, 0});
    CHECK_THROWS_AS(ops::multiply_into(target, target), Error);
    CHECK_THROWS_AS(ops::multiply_into(target, Tensor(*device, {2}, DType::f32)), Error);
    CHECK_THROWS_AS(ops::multiply_into(target, Tensor(*device, {3}, DType::f64)), Error);
  }
}

}  // namespace
}  // namespace espalier::test
