#include "binding/ops/activation.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "binding/ops/swiglu.h"
#include "test/binding/devices.h"

namespace espalier::test {
namespace {

double reference(ActivationKind kind, double x) {
  switch (kind) {
    case ActivationKind::gelu:
      return x * 0.5 * std::erfc(-x / std::sqrt(2.0));
    case ActivationKind::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case ActivationKind::tanh:
      return std::tanh(x);
    case ActivationKind::relu:
      return x > 0 ? x : 0;
  }
  return 0;
}

double slope(ActivationKind kind, double x) {
  const double step = 1e-5;
  return (reference(kind, x + step) - reference(kind, x - step)) / (2 * step);
}

constexpr ActivationKind kKinds[] = {ActivationKind::gelu, ActivationKind::gelu_tanh,
                                     ActivationKind::tanh, ActivationKind::relu};

TEST_CASE("activations and their gradients equal double precision everywhere, for any count") {
  for (Device* device : devices()) {
    for (const ActivationKind kind : kKinds) {
      for (const int64_t count : {1, 15, 16, 17, 4096, 9001}) {
        const auto x = random_values(static_cast<size_t>(count), 1, 3.0F);
        const auto gradient = random_values(static_cast<size_t>(count), 2);
        const Tensor input = upload(*device, x, {count});
        const Tensor output = ops::activation(input, kind);
        const Tensor saved = kind == ActivationKind::tanh ? output : input;
        const auto y = download(output);
        const auto dx =
            download(ops::activation_backward(upload(*device, gradient, {count}), saved, kind));
        for (size_t i = 0; i < x.size(); ++i) {
          const double expected = reference(kind, x[i]);
          // The approximation by tanh cancels where it is near 0, as elsewhere.
          const double lost = kind == ActivationKind::gelu_tanh ? 2e-7 * std::abs(x[i]) : 0;
          CHECK(std::abs(y[i] - expected) <= 8e-7 * (1e-3 + std::abs(expected)) + lost);
          if (kind == ActivationKind::relu && std::abs(x[i]) < 1e-4F) continue;
          const double expected_slope = gradient[i] * slope(kind, x[i]);
          CHECK(std::abs(dx[i] - expected_slope) <= 2e-6 * std::abs(gradient[i]));
        }
      }
    }
  }
}

TEST_CASE("the tail of the exact GELU keeps its relative accuracy") {
  for (Device* device : devices()) {
    std::vector<float> x;
    for (float value = -12; value < 0; value += 0.0625F) x.push_back(value);
    const auto count = static_cast<int64_t>(x.size());
    const auto y = download(ops::activation(upload(*device, x, {count}), ActivationKind::gelu));
    for (size_t i = 0; i < x.size(); ++i) {
      const double expected = reference(ActivationKind::gelu, x[i]);
      CHECK(std::abs(y[i] - expected) <= 1e-5 * std::abs(expected));
    }
  }
}

TEST_CASE("activations reach their limits, keep NaN and take empty tensors") {
  for (Device* device : devices()) {
    constexpr float kLarge = 1e18F;
    const std::vector<float> x{kLarge, -kLarge, 0.0F, std::nanf("")};
    const Tensor input = upload(*device, x, {4});
    for (const ActivationKind kind : kKinds) {
      const auto y = download(ops::activation(input, kind));
      const bool bounded = kind == ActivationKind::tanh;
      CHECK(y[0] == (bounded ? 1.0F : kLarge));
      CHECK(y[1] == (bounded ? -1.0F : 0.0F));
      CHECK(y[2] == 0.0F);
      CHECK(std::isnan(y[3]));
      const Tensor empty = upload(*device, std::vector<float>{}, {0, 3});
      CHECK(download(ops::activation(empty, kind)).empty());
      CHECK(download(ops::activation_backward(empty, empty, kind)).empty());
    }
  }
}

TEST_CASE("swiglu's gradients equal finite differences in double precision") {
  const auto value = [](double gate, double up) { return gate / (1 + std::exp(-gate)) * up; };
  for (Device* device : devices()) {
    for (const int64_t count : {1, 17, 4099}) {
      const auto gate = random_values(static_cast<size_t>(count), 1, 4.0F);
      const auto up = random_values(static_cast<size_t>(count), 2);
      const auto gradient = random_values(static_cast<size_t>(count), 3);
      const auto result =
          ops::swiglu_backward(upload(*device, gradient, {count}), upload(*device, gate, {count}),
                               upload(*device, up, {count}));
      std::vector<double> expected_gate;
      std::vector<double> expected_up;
      for (size_t i = 0; i < gate.size(); ++i) {
        const double h = 1e-5;
        const double g = gate[i];
        const double u = up[i];
        expected_gate.push_back(gradient[i] * (value(g + h, u) - value(g - h, u)) / (2 * h));
        expected_up.push_back(gradient[i] * value(g, 1));
      }
      CHECK(normalised_error(download(result.gate), expected_gate) < 1e-12);
      CHECK(normalised_error(download(result.up), expected_up) < 1e-12);
    }
    const auto far = ops::swiglu_backward(upload(*device, std::vector<float>{1, 1}, {2}),
                                          upload(*device, std::vector<float>{-1e4F, 1e4F}, {2}),
                                          upload(*device, std::vector<float>{3, 3}, {2}));
    CHECK(download(far.gate) == std::vector<float>{0, 3});
    CHECK(download(far.up) == std::vector<float>{0, 1e4F});
  }
}

TEST_CASE("activations name the argument that does not fit") {
  Device& device = *devices().front();
  const Tensor x(device, {2, 4}, DType::f32);
  CHECK_THROWS_AS(ops::activation(Tensor(device, {4}, DType::bf16), ActivationKind::relu), Error);
  CHECK_THROWS_WITH_AS(
      ops::activation_backward(x, Tensor(device, {8}, DType::f32), ActivationKind::gelu),
      "saved: expected [2, 4], got [8]", Error);
}

}  // namespace
}  // namespace espalier::test
