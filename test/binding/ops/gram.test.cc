#include "binding/ops/gram.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "test/binding/devices.h"

namespace espalier::test {
namespace {

// yᵀ x in double precision, and the same of the magnitudes, which the error bound refers to.
struct Reference {
  std::vector<double> product, magnitude;
};

Reference reference(const std::vector<float>& y, int64_t height, const std::vector<float>& x,
                    int64_t width) {
  const auto h = static_cast<size_t>(height);
  const auto w = static_cast<size_t>(width);
  Reference result{std::vector<double>(h * w), std::vector<double>(h * w)};
  for (size_t n = 0; n * w < x.size(); ++n) {
    for (size_t i = 0; i < h; ++i) {
      for (size_t j = 0; j < w; ++j) {
        const double term = static_cast<double>(y[n * h + i]) * static_cast<double>(x[n * w + j]);
        result.product[i * w + j] += term;
        result.magnitude[i * w + j] += std::abs(term);
      }
    }
  }
  return result;
}

void check_within_bound(const std::vector<double>& got, const Reference& expected) {
  REQUIRE(got.size() == expected.product.size());
  double worst = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double error = std::abs(got[i] - expected.product[i]);
    if (error > 0) worst = std::max(worst, error / expected.magnitude[i]);
  }
  CHECK(worst <= 256 * 0x1p-24);
}

TEST_CASE("gram is within its stated bound and exactly symmetric, for any size and dtype") {
  for (Device* device : devices()) {
    for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
      for (const int64_t rows : {1, 3, 256, 300}) {
        for (const int64_t columns : {1, 5, 16, 37, 96, 97, 200, 401}) {
          const auto x = rounded_to(random_values(static_cast<size_t>(rows * columns), 1), dtype);
          const auto got = download<double>(
              ops::gram(upload_as(*device, x, {rows, columns}, dtype), std::nullopt, std::nullopt));
          check_within_bound(got, reference(x, columns, x, columns));
          bool symmetric = true;
          for (int64_t i = 0; i < columns; ++i) {
            for (int64_t j = 0; j < i; ++j) {
              symmetric = symmetric && got[static_cast<size_t>(i * columns + j)] ==
                                           got[static_cast<size_t>(j * columns + i)];
            }
          }
          CHECK(symmetric);
        }
      }
    }
  }
}

TEST_CASE("gram with y is yᵀx within its stated bound") {
  for (Device* device : devices()) {
    for (const auto& [height, width] :
         std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {3, 40}, {100, 7}, {193, 385}}) {
      const auto x = random_values(static_cast<size_t>(270 * width), 1);
      const auto y = random_values(static_cast<size_t>(270 * height), 2);
      const auto got = download<double>(ops::gram(
          upload(*device, x, {270, width}), upload(*device, y, {2, 135, height}), std::nullopt));
      check_within_bound(got, reference(y, height, x, width));
    }
  }
}

TEST_CASE("gram accumulates in place, and chunks of 256 rows change no bit") {
  for (Device* device : devices()) {
    // A GPU goes two ways, by the number of tiles.
    for (const int64_t columns : {50, 300}) {
      const auto x = random_values(static_cast<size_t>(800 * columns), 1);
      const Tensor all = upload(*device, x, {800, columns});
      const auto whole = download<double>(ops::gram(all, std::nullopt, std::nullopt));
      const Tensor sum = ops::gram(all.slice(0, 512), std::nullopt, std::nullopt);
      ops::gram(all.slice(512, 512), std::nullopt, sum);
      ops::gram(all.slice(512, 800), std::nullopt, sum);
      CHECK(download<double>(sum) == whole);
      const Tensor uneven = ops::gram(all.slice(0, 100), std::nullopt, std::nullopt);
      ops::gram(all.slice(100, 800), std::nullopt, uneven);
      check_within_bound(download<double>(uneven), reference(x, columns, x, columns));
    }
  }
}

TEST_CASE("gram gives the same bits for any number of threads") {
  for (Device* device : devices()) {
    const Tensor x = upload(*device, random_values(300 * 210, 1), {300, 210});
    const auto many = download<double>(ops::gram(x, std::nullopt, std::nullopt));
    const auto set_threads = [&](int count) {
      return run(*device, {.op = "setThreads",
                           .reads = {},
                           .writes = {},
                           .run =
                               [count](Backend& backend) {
                                 backend.set_threads(count);
                                 return Status();
                               },
                           .done = {}});
    };
    REQUIRE(set_threads(1).ok());
    const auto one = download<double>(ops::gram(x, std::nullopt, std::nullopt));
    REQUIRE(set_threads(2).ok());
    CHECK(one == many);
  }
}

TEST_CASE("gram without rows is zero, and NaN stays in the rows and columns of its feature") {
  for (Device* device : devices()) {
    const Tensor none = upload(*device, std::vector<float>{}, {0, 3});
    CHECK(download<double>(ops::gram(none, std::nullopt, std::nullopt)) == std::vector<double>(9));
    const Tensor narrow = upload(*device, std::vector<float>{}, {3, 0});
    CHECK(download<double>(ops::gram(narrow, std::nullopt, std::nullopt)).empty());
    std::vector<float> x(10 * 20, 1.0F);
    x[25] = std::numeric_limits<float>::quiet_NaN();
    const auto got =
        download<double>(ops::gram(upload(*device, x, {10, 20}), std::nullopt, std::nullopt));
    for (size_t i = 0; i < 20; ++i) {
      for (size_t j = 0; j < 20; ++j) {
        CHECK(std::isnan(got[i * 20 + j]) == (i == 5 || j == 5));
      }
    }
  }
}

TEST_CASE("gram names the argument that does not fit") {
  Device& device = *devices().front();
  const Tensor x(device, {2, 4}, DType::f32);
  CHECK_THROWS_WITH_AS(ops::gram(x, Tensor(device, {3, 4}, DType::f32), std::nullopt),
                       "y: expected 2 rows, got [3, 4]", Error);
  CHECK_THROWS_WITH_AS(ops::gram(x, Tensor(device, {2, 4}, DType::bf16), std::nullopt),
                       "y: expected f32, got bf16", Error);
  CHECK_THROWS_WITH_AS(ops::gram(x, std::nullopt, Tensor(device, {4, 5}, DType::f64)),
                       "into: expected [4, 4], got [4, 5]", Error);
  CHECK_THROWS_AS(ops::gram(Tensor(device, {2, 4}, DType::i32), std::nullopt, std::nullopt), Error);
}

}  // namespace
}  // namespace espalier::test
