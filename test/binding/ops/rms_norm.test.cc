#include "binding/ops/rms_norm.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "test/binding/devices.h"

namespace espalier::test {
namespace {

std::vector<double> reference(const std::vector<float>& x, const std::vector<float>& weight,
                              double epsilon) {
  const size_t columns = weight.size();
  std::vector<double> y(x.size());
  for (size_t row = 0; row * columns < x.size(); ++row) {
    double squares = 0;
    for (size_t c = 0; c < columns; ++c) {
      squares += static_cast<double>(x[row * columns + c]) * x[row * columns + c];
    }
    const double factor = 1 / std::sqrt(squares / static_cast<double>(columns) + epsilon);
    for (size_t c = 0; c < columns; ++c) {
      y[row * columns + c] = x[row * columns + c] * factor * weight[c];
    }
  }
  return y;
}

TEST_CASE("rmsNorm equals the double-precision formula for any width and weight dtype") {
  for (Device* device : devices()) {
    for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
      for (const int64_t columns : {1, 3, 8, 17, 64, 129, 1000}) {
        const auto x = random_values(static_cast<size_t>(5 * columns), 1);
        const auto weight = rounded_to(random_values(static_cast<size_t>(columns), 2), dtype);
        const auto result =
            ops::rms_norm(upload(*device, x, {5, columns}),
                          upload_as(*device, weight, {columns}, dtype), 1e-5, std::nullopt);
        CHECK(normalised_error(download(result.output), reference(x, weight, 1e-5)) < 1e-12);
      }
    }
  }
}

TEST_CASE("rmsNorm with a residual returns the sum and normalises it") {
  for (Device* device : devices()) {
    const auto x = random_values(3 * 37, 1);
    const auto residual = random_values(3 * 37, 2);
    const std::vector<float> weight(37, 1.0F);
    std::vector<float> sum(x.size());
    for (size_t i = 0; i < x.size(); ++i) sum[i] = x[i] + residual[i];
    const auto result = ops::rms_norm(upload(*device, x, {3, 37}), upload(*device, weight, {37}),
                                      1e-6, upload(*device, residual, {3, 37}));
    REQUIRE(result.sum.has_value());
    CHECK(download(*result.sum) == sum);
    CHECK(normalised_error(download(result.output), reference(sum, weight, 1e-6)) < 1e-12);
  }
}

TEST_CASE("rmsNorm keeps NaN and infinity within their row, and takes empty tensors") {
  for (Device* device : devices()) {
    std::vector<float> x(3 * 16, 1.0F);
    x[0] = std::numeric_limits<float>::quiet_NaN();
    x[16] = std::numeric_limits<float>::infinity();
    const Tensor weight = upload(*device, std::vector<float>(16, 1.0F), {16});
    const auto y =
        download(ops::rms_norm(upload(*device, x, {3, 16}), weight, 0, std::nullopt).output);
    CHECK(std::isnan(y[0]));
    CHECK(std::isnan(y[16]));
    CHECK(y[32] == doctest::Approx(1.0));
    const Tensor empty = upload(*device, std::vector<float>{}, {0, 16});
    CHECK(download(ops::rms_norm(empty, weight, 0, std::nullopt).output).empty());
  }
}

TEST_CASE("rmsNorm names the argument that does not fit") {
  Device& device = *devices().front();
  const Tensor x(device, {2, 4}, DType::f32);
  const Tensor weight(device, {5}, DType::f32);
  CHECK_THROWS_WITH_AS(ops::rms_norm(x, weight, 1e-5, std::nullopt),
                       "weight: expected [4], got [5]", Error);
  const Tensor integers(device, {4}, DType::i32);
  CHECK_THROWS_AS(ops::rms_norm(x, integers, 1e-5, std::nullopt), Error);
  CHECK_THROWS_AS(ops::rms_norm(x, Tensor(device, {4}, DType::f32), std::nan(""), std::nullopt),
                  Error);
}

}  // namespace
}  // namespace espalier::test
