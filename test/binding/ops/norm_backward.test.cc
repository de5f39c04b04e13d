#include "binding/ops/norm_backward.h"

#include <doctest/doctest.h>

#include <cmath>

#include "binding/ops/layer_norm.h"
#include "test/binding/devices.h"
#include "test/binding/finite_differences.h"

namespace espalier::test {
namespace {

using Doubles = std::vector<double>;

constexpr double kEpsilon = 1e-3;

Doubles normalise(const Doubles& x, const Doubles& weight, const Doubles& bias, bool centred) {
  const size_t columns = weight.size();
  Doubles y(x.size());
  for (size_t start = 0; start < x.size(); start += columns) {
    double mean = 0;
    double squares = 0;
    const auto count = static_cast<double>(columns);
    for (size_t c = 0; centred && c < columns; ++c) mean += x[start + c] / count;
    for (size_t c = 0; c < columns; ++c) {
      squares += (x[start + c] - mean) * (x[start + c] - mean) / count;
    }
    for (size_t c = 0; c < columns; ++c) {
      y[start + c] = (x[start + c] - mean) / std::sqrt(squares + kEpsilon) * weight[c] +
                     (centred ? bias[c] : 0);
    }
  }
  return y;
}

struct Problem {
  std::vector<float> x, weight, bias, gradient, upstream;
  Shape shape;

  Problem(int64_t rows, int64_t columns, DType dtype)
      : x(random_values(static_cast<size_t>(rows * columns), 1)),
        weight(rounded_to(random_values(static_cast<size_t>(columns), 2), dtype)),
        bias(random_values(static_cast<size_t>(columns), 3)),
        gradient(random_values(x.size(), 4)),
        upstream(random_values(x.size(), 5)),
        shape{rows, columns} {}
};

void check_gradients(bool centred, int64_t rows, int64_t columns, DType dtype) {
  CAPTURE(centred);
  CAPTURE(rows);
  CAPTURE(columns);
  const Problem p(rows, columns, dtype);
  const auto x = widened(p.x);
  const auto weight = widened(p.weight);
  const auto bias = widened(p.bias);
  const auto loss = [&](const Doubles& input, const Doubles& w, const Doubles& b) {
    return dot(normalise(input, w, b, centred), p.gradient);
  };
  const auto dx = finite_differences(
      x, [&](const Doubles& v) { return loss(v, weight, bias) + dot(v, p.upstream); });
  const auto dw = finite_differences(weight, [&](const Doubles& v) { return loss(x, v, bias); });
  const auto db = finite_differences(bias, [&](const Doubles& v) { return loss(x, weight, v); });
  for (Device* device : devices()) {
    const auto result =
        ops::norm_backward(upload(*device, p.gradient, p.shape), upload(*device, p.x, p.shape),
                           upload_as(*device, p.weight, {columns}, dtype), kEpsilon, centred,
                           upload(*device, p.upstream, p.shape), {.weight = true, .bias = centred});
    CHECK(normalised_error(download(result.x), dx) < 1e-9);
    CHECK(normalised_error(download(*result.weight), dw) < 1e-9);
    REQUIRE(result.bias.has_value() == centred);
    if (centred) CHECK(normalised_error(download(*result.bias), db) < 1e-9);
  }
}

TEST_CASE("gradients of both normalisations equal finite differences for any width") {
  for (const bool centred : {false, true}) {
    for (const int64_t columns : {2, 3, 8, 17, 33, 70})
      check_gradients(centred, 3, columns, DType::f32);
    check_gradients(centred, 1, 5, DType::bf16);
    check_gradients(centred, 3, 19, DType::f16);
    check_gradients(centred, 70, 5, DType::f32);
  }
  check_gradients(false, 3, 1, DType::f32);
}

TEST_CASE("layerNorm equals the double-precision formula for any width") {
  for (Device* device : devices()) {
    for (const int64_t columns : {1, 3, 8, 17, 129, 1000}) {
      const Problem p(5, columns, DType::bf16);
      const auto y = download(ops::layer_norm(upload(*device, p.x, p.shape),
                                              upload_as(*device, p.weight, {columns}, DType::bf16),
                                              upload(*device, p.bias, {columns}), kEpsilon));
      const auto expected = normalise(widened(p.x), widened(p.weight), widened(p.bias), true);
      CHECK(normalised_error(y, expected) < 1e-12);
    }
  }
}

TEST_CASE("layerNorm keeps its digits when the mean is large, and works without bias") {
  Device& device = *devices().front();
  std::vector<float> x = random_values(64, 1);
  for (float& value : x) value = std::round(value * 64) / 64 + 1000;
  const std::vector<float> ones(64, 1.0F);
  const auto y = download(
      ops::layer_norm(upload(device, x, {64}), upload(device, ones, {64}), std::nullopt, kEpsilon));
  const auto expected = normalise(widened(x), widened(ones), Doubles(64), true);
  CHECK(normalised_error(y, expected) < 1e-9);
}

TEST_CASE("gradients of parameters that nobody wants are not computed, and no rows give zeros") {
  Device& device = *devices().front();
  const Tensor weight = upload(device, std::vector<float>(4, 1.0F), {4});
  const Tensor empty = upload(device, std::vector<float>{}, {0, 4});
  const auto none = ops::norm_backward(empty, empty, weight, kEpsilon, true, std::nullopt,
                                       {.weight = false, .bias = false});
  CHECK(!none.weight.has_value());
  CHECK(!none.bias.has_value());
  const auto both = ops::norm_backward(empty, empty, weight, kEpsilon, true, std::nullopt,
                                       {.weight = true, .bias = true});
  CHECK(download(both.x).empty());
  CHECK(download(*both.weight) == std::vector<float>(4));
  CHECK(download(*both.bias) == std::vector<float>(4));
}

TEST_CASE("gradients of normalisations name the argument that does not fit") {
  Device& device = *devices().front();
  const auto tensor = [&](const Shape& shape) { return Tensor(device, shape, DType::f32); };
  const Tensor x = tensor({2, 4});
  CHECK_THROWS_WITH_AS(
      ops::norm_backward(tensor({2, 3}), x, tensor({4}), 0, false, std::nullopt, {}),
      "gradient: expected [2, 4], got [2, 3]", Error);
  CHECK_THROWS_AS(ops::norm_backward(x, x, tensor({3}), 0, false, std::nullopt, {}), Error);
  CHECK_THROWS_AS(ops::norm_backward(x, x, tensor({4}), 0, false, tensor({8}), {}), Error);
  CHECK_THROWS_AS(ops::layer_norm(x, tensor({4}), tensor({5}), 0), Error);
  CHECK_THROWS_AS(ops::layer_norm(x, tensor({4}), std::nullopt, -1), Error);
}

}  // namespace
}  // namespace espalier::test
