#include "binding/ops/scale.h"

#include <doctest/doctest.h>

#include <cmath>

#include "test/binding/devices.h"

namespace espalier::test {
namespace {

TEST_CASE("scale multiplies rows or columns and rounds to x's dtype") {
  for (Device* device : devices()) {
    for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
      for (const bool columns : {false, true}) {
        const auto x = rounded_to(random_values(6 * 17, 1), dtype);
        const auto factors = random_values(columns ? 17 : 6, 2);
        std::vector<float> expected;
        for (size_t i = 0; i < x.size(); ++i) {
          expected.push_back(x[i] * factors[columns ? i % 17 : i / 17]);
        }
        const Tensor y = ops::scale(upload_as(*device, x, {2, 3, 17}, dtype),
                                    upload(*device, factors, {columns ? 17 : 6}), columns);
        CHECK(y.shape() == Shape{2, 3, 17});
        if (dtype == DType::f32) {
          CHECK(download(y) == expected);
        } else {
          std::vector<uint16_t> bits;
          for (const float value : expected) {
            bits.push_back(dtype == DType::bf16 ? bf16_from_float(value) : f16_from_float(value));
          }
          CHECK(download<uint16_t>(y) == bits);
        }
      }
    }
  }
}

TEST_CASE("scale by f64 factors computes in f64") {
  for (Device* device : devices()) {
    const std::vector<double> x{1.0 / 3, 3, 1e300, std::nan("")};
    const std::vector<double> factors{0.1, 1e-9};
    const Tensor f = upload(*device, factors, {2}, DType::f64);
    const auto y = download<double>(ops::scale(upload(*device, x, {2, 2}, DType::f64), f, true));
    CHECK(y[0] == x[0] * 0.1);
    CHECK(y[1] == 3 * 1e-9);
    CHECK(y[2] == 1e300 * 0.1);
    CHECK(std::isnan(y[3]));
    const auto single = download(ops::scale(upload(*device, {1.5F, 3.0F}, {2, 1}), f, false));
    CHECK(single == std::vector<float>{static_cast<float>(1.5 * 0.1), static_cast<float>(3e-9)});
  }
}

TEST_CASE("scale takes empty tensors and names the argument that does not fit") {
  Device& device = *devices().front();
  const Tensor x(device, {2, 3}, DType::f32);
  CHECK(download(
            ops::scale(Tensor(device, {0, 3}, DType::f32), Tensor(device, {0}, DType::f32), false))
            .empty());
  CHECK_THROWS_WITH_AS(ops::scale(x, Tensor(device, {3}, DType::f32), false),
                       "factors: expected [2], got [3]", Error);
  CHECK_THROWS_AS(ops::scale(Tensor(device, {3}, DType::i32), x, true), Error);
  CHECK_THROWS_AS(ops::scale(x, Tensor(device, {3}, DType::bf16), true), Error);
}

}  // namespace
}  // namespace espalier::test
