#include "binding/ops/linear.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "binding/ops/cast.h"
#include "test/binding/devices.h"

namespace espalier::test {
namespace {

std::vector<double> reference(const std::vector<float>& x, const std::vector<float>& w,
                              const std::vector<float>& bias, size_t rows, size_t k) {
  const size_t n = bias.size();
  std::vector<double> y(rows * n);
  for (size_t r = 0; r < rows; ++r) {
    for (size_t j = 0; j < n; ++j) {
      double sum = bias[j];
      for (size_t i = 0; i < k; ++i) sum += static_cast<double>(x[r * k + i]) * w[j * k + i];
      y[r * n + j] = sum;
    }
  }
  return y;
}

TEST_CASE("linear equals the double-precision product for any sizes and weight dtype") {
  for (Device* device : devices()) {
    for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
      for (const int64_t rows : {1, 2, 7, 33, 130}) {
        for (const int64_t n : {1, 5, 64, 97}) {
          for (const int64_t k : {1, 3, 16, 65, 256}) {
            const auto x = random_values(static_cast<size_t>(rows * k), 1);
            const auto w = rounded_to(random_values(static_cast<size_t>(n * k), 2), dtype);
            const auto bias = rounded_to(random_values(static_cast<size_t>(n), 3), dtype);
            const Tensor y =
                ops::linear(upload(*device, x, {rows, k}), upload_as(*device, w, {n, k}, dtype),
                            upload_as(*device, bias, {n}, dtype));
            const auto expected =
                reference(x, w, bias, static_cast<size_t>(rows), static_cast<size_t>(k));
            CHECK(normalised_error(download(y), expected) < 1e-11);
          }
        }
      }
    }
  }
}

TEST_CASE("linear gives the bits of weights cast to f32 first, over several panels") {
  for (Device* device : devices()) {
    for (const int64_t rows : {1, 3, 40}) {
      for (const DType dtype : {DType::bf16, DType::f16}) {
        const Tensor x =
            upload(*device, random_values(static_cast<size_t>(rows * 4099), 1), {rows, 4099});
        const Tensor w = upload_as(*device, random_values(1050 * 4099, 2), {1050, 4099}, dtype);
        const auto direct = download(ops::linear(x, w, std::nullopt));
        CHECK(direct == download(ops::linear(x, ops::cast(w, DType::f32), std::nullopt)));
        CHECK(direct == download(ops::linear(x, w, std::nullopt)));
      }
    }
  }
}

TEST_CASE("linear keeps leading dimensions, propagates NaN and infinity, and takes empty tensors") {
  for (Device* device : devices()) {
    std::vector<float> x(4 * 8, 1.0F);
    x[0] = std::numeric_limits<float>::quiet_NaN();
    x[8] = std::numeric_limits<float>::infinity();
    const Tensor w = upload(*device, std::vector<float>(5 * 8, 1.0F), {5, 8});
    const Tensor y = ops::linear(upload(*device, x, {2, 2, 8}), w, std::nullopt);
    CHECK(y.shape() == Shape{2, 2, 5});
    const auto values = download(y);
    CHECK(std::isnan(values[0]));
    CHECK(std::isinf(values[5]));
    CHECK(values[10] == 8.0F);
    CHECK(download(ops::linear(Tensor(*device, {0, 8}, DType::f32), w, std::nullopt)).empty());
    const Tensor no_width(*device, {5, 0}, DType::f32);
    const Tensor bias = upload(*device, random_values(5, 1), {5});
    const Tensor narrow(*device, {1, 0}, DType::f32);
    CHECK(download(ops::linear(narrow, no_width, bias)) == random_values(5, 1));
    CHECK(download(ops::linear(narrow, no_width, std::nullopt)) == std::vector<float>(5));
  }
}

TEST_CASE("linear names the argument that does not fit") {
  Device& device = *devices().front();
  const Tensor x(device, {2, 4}, DType::f32);
  const Tensor w(device, {3, 4}, DType::bf16);
  CHECK_THROWS_WITH_AS(ops::linear(x, Tensor(device, {3, 5}, DType::f32), std::nullopt),
                       "weight: expected [N, 4], got [3, 5]", Error);
  CHECK_THROWS_AS(ops::linear(w, w, std::nullopt), Error);
  CHECK_THROWS_AS(ops::linear(x, Tensor(device, {4}, DType::f32), std::nullopt), Error);
  CHECK_THROWS_AS(ops::linear(x, w, Tensor(device, {4}, DType::f32)), Error);
  CHECK_THROWS_AS(ops::linear(x, w, Tensor(device, {3}, DType::i32)), Error);
}

}  // namespace
}  // namespace espalier::test
