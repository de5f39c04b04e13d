#include "binding/ops/adam_w.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "test/binding/devices.h"

namespace espalier::test {
namespace {

// One tensor's history, in double precision, by the formulas of the paper.
struct Reference {
  std::vector<double> p, m, v;

  void step(const std::vector<float>& g, int t, const ops::AdamWOptions& o) {
    for (size_t i = 0; i < p.size(); ++i) {
      const auto gradient = static_cast<double>(g[i]);
      p[i] -= o.learning_rate * o.weight_decay * p[i];
      m[i] = o.beta1 * m[i] + (1 - o.beta1) * gradient;
      v[i] = o.beta2 * v[i] + (1 - o.beta2) * gradient * gradient;
      const double mean = m[i] / (1 - std::pow(o.beta1, t));
      const double square = v[i] / (1 - std::pow(o.beta2, t));
      p[i] -= o.learning_rate * mean / (std::sqrt(square) + o.epsilon);
    }
  }
};

Tensor scalar(Device& device, double value) {
  return upload(device, std::vector<double>{value}, {}, DType::f64);
}

struct Training {
  ops::AdamWState state;
  std::vector<Reference> references;
};

Training start(Device& device, const std::vector<int64_t>& sizes) {
  Training training;
  for (const int64_t size : sizes) {
    const auto count = static_cast<size_t>(size);
    const auto values = random_values(count, static_cast<uint32_t>(size));
    const std::vector<float> zeros(count);
    training.state.parameters.push_back(upload(device, values, {size}));
    training.state.m.push_back(upload(device, zeros, {size}));
    training.state.v.push_back(upload(device, zeros, {size}));
    training.state.steps.push_back(upload(device, std::vector<float>{0}, {}));
    training.references.push_back({.p = {values.begin(), values.end()},
                                   .m = std::vector<double>(count),
                                   .v = std::vector<double>(count)});
  }
  return training;
}

TEST_CASE("adamW follows the double-precision formulas over several steps and many tensors") {
  for (Device* device : devices()) {
    for (const double decay : {0.0, 0.1}) {
      Training training = start(*device, {1, 0, 7, 16385, 40000});
      const ops::AdamWOptions options{
          .learning_rate = 0.01, .weight_decay = decay, .norm = scalar(*device, 1.0)};
      for (int t = 1; t <= 5; ++t) {
        training.state.gradients.clear();
        for (size_t i = 0; i < training.references.size(); ++i) {
          Reference& reference = training.references[i];
          const auto g = random_values(reference.p.size(), static_cast<uint32_t>(100 * t) + 1);
          const Shape shape = training.state.parameters[i].shape();
          training.state.gradients.push_back(upload(*device, g, shape));
          reference.step(g, t, options);
        }
        ops::adam_w(training.state, options);
      }
      for (size_t i = 0; i < training.references.size(); ++i) {
        const Reference& reference = training.references[i];
        CHECK(normalised_error(download(training.state.parameters[i]), reference.p) < 1e-12);
        CHECK(normalised_error(download(training.state.m[i]), reference.m) < 1e-12);
        CHECK(normalised_error(download(training.state.v[i]), reference.v) < 1e-12);
        CHECK(download(training.state.steps[i]) == std::vector<float>{5});
      }
    }
  }
}

TEST_CASE("adamW changes nothing at all when the norm is not finite") {
  for (Device* device : devices()) {
    for (const double norm : {std::nan(""), std::numeric_limits<double>::infinity()}) {
      Training training = start(*device, {3});
      const auto before = download(training.state.parameters[0]);
      training.state.gradients = {upload(*device, std::vector<float>{1, std::nanf(""), 2}, {3})};
      ops::AdamWOptions options;
      options.norm = scalar(*device, norm);
      ops::adam_w(training.state, options);
      CHECK(download(training.state.parameters[0]) == before);
      CHECK(download(training.state.m[0]) == std::vector<float>{0, 0, 0});
      CHECK(download(training.state.steps[0]) == std::vector<float>{0});
    }
  }
}

TEST_CASE("adamW takes hundreds of tensors, each with its own step") {
  for (Device* device : devices()) {
    Training training = start(*device, std::vector<int64_t>(300, 3));
    const ops::AdamWOptions options{.learning_rate = 0.01, .norm = {}};
    for (size_t i = 0; i < 300; ++i) {
      const auto taken = static_cast<float>(i % 7);
      training.state.steps[i] = upload(*device, std::vector<float>{taken}, {});
      const auto g = random_values(3, static_cast<uint32_t>(i));
      training.state.gradients.push_back(upload(*device, g, {3}));
      training.references[i].step(g, static_cast<int>(i % 7) + 1, options);
    }
    ops::adam_w(training.state, options);
    for (size_t i = 0; i < 300; ++i) {
      CHECK(normalised_error(download(training.state.parameters[i]), training.references[i].p) <
            1e-12);
      CHECK(download(training.state.steps[i])[0] == static_cast<float>(i % 7 + 1));
    }
  }
}

TEST_CASE("adamW names the argument that does not fit") {
  Device& device = *devices().front();
  Training training = start(device, {3});
  CHECK_THROWS_WITH_AS(ops::adam_w(training.state, {}), "gradients: expected 1 tensors, got 0",
                       Error);
  training.state.gradients = {Tensor(device, {4}, DType::f32)};
  CHECK_THROWS_WITH_AS(ops::adam_w(training.state, {}), "gradients[0]: expected [3], got [4]",
                       Error);
  training.state.gradients = {Tensor(device, {3}, DType::bf16)};
  CHECK_THROWS_AS(ops::adam_w(training.state, {}), Error);
  training.state.gradients = {Tensor(device, {3}, DType::f32)};
  CHECK_THROWS_AS(ops::adam_w(training.state, {.beta1 = 1.0, .norm = {}}), Error);
  CHECK_THROWS_AS(ops::adam_w(training.state, {.learning_rate = -1, .norm = {}}), Error);
}

}  // namespace
}  // namespace espalier::test
