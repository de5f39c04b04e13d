#include "binding/ops/sgd.h"

#include <doctest/doctest.h>

#include <cmath>

#include "test/binding/devices.h"

namespace espalier::test {
namespace {

TEST_CASE("sgd follows the double-precision formulas with momentum, Nesterov and weight decay") {
  for (Device* device : devices()) {
    for (const double momentum : {0.0, 0.9}) {
      for (const bool nesterov : {false, true}) {
        if (nesterov && momentum == 0) continue;
        constexpr size_t kCount = 16400;
        const auto values = random_values(kCount, 1);
        std::vector<double> p(values.begin(), values.end());
        std::vector<double> u(kCount);
        ops::SgdState state{
            .parameters = {upload(*device, values, {kCount})}, .gradients = {}, .velocities = {}};
        if (momentum > 0) {
          state.velocities = {upload(*device, std::vector<float>(kCount), {kCount})};
        }
        for (uint32_t t = 0; t < 4; ++t) {
          const auto g = random_values(kCount, 10 + t);
          for (size_t i = 0; i < kCount; ++i) {
            const double gradient = static_cast<double>(g[i]) + 0.01 * p[i];
            u[i] = t == 0 ? gradient : momentum * u[i] + gradient;
            p[i] -= 0.1 * (nesterov ? gradient + momentum * u[i] : u[i]);
          }
          state.gradients = {upload(*device, g, {kCount})};
          ops::sgd(state, {.learning_rate = 0.1,
                           .momentum = momentum,
                           .weight_decay = 0.01,
                           .nesterov = nesterov,
                           .norm = {}});
        }
        CHECK(normalised_error(download(state.parameters[0]), p) < 1e-12);
        if (momentum > 0) CHECK(normalised_error(download(state.velocities[0]), u) < 1e-12);
      }
    }
  }
}

TEST_CASE("sgd changes nothing when the norm is not finite and refuses momentum without memory") {
  for (Device* device : devices()) {
    const ops::SgdState state{.parameters = {upload(*device, std::vector<float>{1, 2}, {2})},
                              .gradients = {upload(*device, std::vector<float>{1, 1}, {2})},
                              .velocities = {}};
    ops::SgdOptions options;
    options.norm = upload(*device, std::vector<double>{std::nan("")}, {}, DType::f64);
    ops::sgd(state, options);
    CHECK(download(state.parameters[0]) == std::vector<float>{1, 2});
    CHECK_THROWS_AS(ops::sgd(state, {.momentum = 0.9, .norm = {}}), Error);
    CHECK_THROWS_AS(ops::sgd(state, {.nesterov = true, .norm = {}}), Error);
  }
}

}  // namespace
}  // namespace espalier::test
