#include "binding/ops/sum.h"

#include <doctest/doctest.h>

#include <cmath>

#include "test/binding/devices.h"

namespace espalier::test {
namespace {

TEST_CASE("sumRows and sumColumns add up in f64, at any shape") {
  for (Device* device : devices()) {
    for (const int64_t rows : {0, 1, 3, 256, 1000}) {
      for (const int64_t columns : {1, 7, 513}) {
        const auto x = random_values(static_cast<size_t>(rows * columns), 1);
        std::vector<double> over_rows(static_cast<size_t>(columns));
        std::vector<double> over_columns(static_cast<size_t>(rows));
        for (size_t i = 0; i < x.size(); ++i) {
          over_rows[i % static_cast<size_t>(columns)] += x[i];
          over_columns[i / static_cast<size_t>(columns)] += x[i];
        }
        const Tensor single = upload(*device, x, {rows, columns});
        CHECK(normalised_error(download<double>(ops::sum_rows(single)), over_rows) < 1e-24);
        CHECK(normalised_error(download<double>(ops::sum_columns(single)), over_columns) < 1e-24);
        const std::vector<double> wide(x.begin(), x.end());
        const Tensor doubles = upload(*device, wide, {rows, 1, columns}, DType::f64);
        CHECK(normalised_error(download<double>(ops::sum_rows(doubles)), over_rows) < 1e-24);
        CHECK(normalised_error(download<double>(ops::sum_columns(doubles)), over_columns) < 1e-24);
      }
    }
  }
}

TEST_CASE("sums keep NaN in its column and row, and refuse scalars and integers") {
  for (Device* device : devices()) {
    const Tensor x = upload(*device, std::vector<float>{1, std::nanf(""), 3, 4}, {2, 2});
    const auto columns = download<double>(ops::sum_rows(x));
    CHECK(columns[0] == 4.0);
    CHECK(std::isnan(columns[1]));
    const auto rows = download<double>(ops::sum_columns(x));
    CHECK(std::isnan(rows[0]));
    CHECK(rows[1] == 7.0);
    CHECK_THROWS_AS(ops::sum_rows(Tensor(*device, Shape{}, DType::f32)), Error);
    CHECK_THROWS_AS(ops::sum_columns(Tensor(*device, {2}, DType::i32)), Error);
  }
}

}  // namespace
}  // namespace espalier::test
