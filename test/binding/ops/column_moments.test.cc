#include "binding/ops/column_moments.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "test/binding/devices.h"

namespace espalier::test {
namespace {

std::vector<double> reference(const std::vector<float>& x, size_t columns) {
  const size_t rows = x.size() / columns;
  std::vector<double> result(2 * columns);
  for (size_t c = 0; c < columns; ++c) {
    long double sum = 0;
    for (size_t r = 0; r < rows; ++r) sum += static_cast<long double>(x[r * columns + c]);
    const long double mean = sum / static_cast<long double>(rows);
    long double squares = 0;
    for (size_t r = 0; r < rows; ++r) {
      const long double deviation = static_cast<long double>(x[r * columns + c]) - mean;
      squares += deviation * deviation;
    }
    result[c] = static_cast<double>(mean);
    result[columns + c] = static_cast<double>(squares);
  }
  return result;
}

std::vector<float> shifted_values(int64_t rows, int64_t columns) {
  // A mean far from 0 would drown the deviations if squares were summed about 0.
  auto x = random_values(static_cast<size_t>(rows * columns), 1);
  for (float& value : x) value += 1000;
  return x;
}

TEST_CASE("columnMoments equals the two-pass formula for any size, also far from zero") {
  for (Device* device : devices()) {
    for (const int64_t rows : {1, 2, 255, 256, 257, 1000}) {
      for (const int64_t columns : {1, 7, 32, 33, 130}) {
        const auto x = shifted_values(rows, columns);
        const auto got = download<double>(
            ops::column_moments(upload(*device, x, {rows, columns}), std::nullopt, 0));
        const auto expected = reference(x, static_cast<size_t>(columns));
        for (size_t i = 0; i < got.size(); ++i) {
          CHECK(got[i] == doctest::Approx(expected[i]).epsilon(1e-11));
        }
      }
    }
  }
}

TEST_CASE("columnMoments merged chunk by chunk equals all rows at once") {
  for (Device* device : devices()) {
    const auto x = shifted_values(700, 45);
    const auto expected = reference(x, 45);
    const Tensor all = upload(*device, x, {700, 45});
    const Tensor moments = ops::column_moments(all.slice(0, 1), std::nullopt, 0);
    ops::column_moments(all.slice(1, 300), moments, 1);
    ops::column_moments(all.slice(300, 300), moments, 300);
    ops::column_moments(all.slice(300, 700), moments, 300);
    const auto got = download<double>(moments);
    for (size_t i = 0; i < got.size(); ++i) {
      CHECK(got[i] == doctest::Approx(expected[i]).epsilon(1e-11));
    }
  }
}

TEST_CASE("columnMoments of no rows is zero, and NaN stays within its column") {
  for (Device* device : devices()) {
    const Tensor none = upload(*device, std::vector<float>{}, {0, 3});
    CHECK(download<double>(ops::column_moments(none, std::nullopt, 0)) == std::vector<double>(6));
    const Tensor narrow = upload(*device, std::vector<float>{}, {4, 0});
    CHECK(download<double>(ops::column_moments(narrow, std::nullopt, 0)).empty());
    std::vector<float> x(10 * 40, 1.0F);
    x[45] = std::numeric_limits<float>::quiet_NaN();
    x[46] = std::numeric_limits<float>::infinity();
    const auto got =
        download<double>(ops::column_moments(upload(*device, x, {10, 40}), std::nullopt, 0));
    for (size_t c = 0; c < 40; ++c) {
      CHECK(std::isfinite(got[c]) == (c != 5 && c != 6));
      CHECK(std::isnan(got[40 + c]) == (c == 5 || c == 6));
    }
  }
}

TEST_CASE("columnMoments names the argument that does not fit") {
  Device& device = *devices().front();
  const Tensor x(device, {2, 4}, DType::f32);
  CHECK_THROWS_WITH_AS(ops::column_moments(x, Tensor(device, {2, 3}, DType::f64), 1),
                       "into: expected [2, 4], got [2, 3]", Error);
  CHECK_THROWS_AS(ops::column_moments(x, std::nullopt, 5), Error);
  CHECK_THROWS_AS(ops::column_moments(x, std::nullopt, -1), Error);
  CHECK_THROWS_AS(ops::column_moments(x, Tensor(device, {2, 4}, DType::f32), 1), Error);
}

}  // namespace
}  // namespace espalier::test
