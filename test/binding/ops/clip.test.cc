#include "binding/ops/clip.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "test/binding/devices.h"

namespace espalier::test {
namespace {

TEST_CASE("globalNorm is the root of all squares, and clipping brings it down to the maximum") {
  for (Device* device : devices()) {
    std::vector<Tensor> tensors;
    double squares = 0;
    for (const int64_t size : {1, 0, 100, 16384, 50001}) {
      const auto values = random_values(static_cast<size_t>(size), static_cast<uint32_t>(size));
      for (const float value : values) squares += static_cast<double>(value) * value;
      tensors.push_back(upload(*device, values, {size}));
    }
    const Tensor norm = ops::global_norm(tensors);
    CHECK(download<double>(norm)[0] == doctest::Approx(std::sqrt(squares)).epsilon(1e-12));
    const auto before = download(tensors[2]);
    ops::clip_gradients(tensors, norm, 1e6);
    CHECK(download(tensors[2]) == before);
    ops::clip_gradients(tensors, norm, 2);
    CHECK(download<double>(ops::global_norm(tensors))[0] == doctest::Approx(2).epsilon(1e-6));
    CHECK(download(tensors[2])[3] ==
          doctest::Approx(static_cast<double>(before[3]) * 2 / std::sqrt(squares)).epsilon(1e-6));
  }
}

TEST_CASE("globalNorm and clipping take hundreds of tensors") {
  for (Device* device : devices()) {
    std::vector<Tensor> tensors;
    for (int i = 0; i < 300; ++i) {
      tensors.push_back(upload(*device, std::vector<float>{static_cast<float>(i), 1}, {2}));
    }
    // Σ i² for i < 300, and 300 ones.
    const double norm = std::sqrt(299.0 * 300 * 599 / 6 + 300);
    const Tensor found = ops::global_norm(tensors);
    CHECK(download<double>(found)[0] == doctest::Approx(norm).epsilon(1e-12));
    ops::clip_gradients(tensors, found, 1);
    for (const size_t i : {0, 111, 112, 113, 299}) {
      CHECK(download(tensors[i])[0] == doctest::Approx(static_cast<double>(i) / norm));
    }
  }
}

TEST_CASE("globalNorm keeps NaN and infinity, and does not overflow in f32") {
  for (Device* device : devices()) {
    const float infinity = std::numeric_limits<float>::infinity();
    const auto norm_of = [&](float value) {
      return download<double>(
          ops::global_norm({upload(*device, std::vector<float>{1, value}, {2})}))[0];
    };
    CHECK(std::isnan(norm_of(std::nanf(""))));
    CHECK(std::isinf(norm_of(infinity)));
    CHECK(norm_of(1e30F) == doctest::Approx(1e30));
    CHECK_THROWS_AS(ops::global_norm({}), Error);
    CHECK_THROWS_AS(ops::global_norm({Tensor(*device, {1}, DType::f64)}), Error);
  }
}

TEST_CASE("scaleInPlace and accumulate change their targets") {
  for (Device* device : devices()) {
    const Tensor x = upload(*device, std::vector<float>{1, -2, 3}, {3});
    ops::scale_in_place({x}, upload(*device, std::vector<float>{0.5F}, {}));
    CHECK(download(x) == std::vector<float>{0.5F, -1, 1.5F});
    ops::accumulate(x, upload(*device, std::vector<float>{1, 1, 1}, {3}));
    CHECK(download(x) == std::vector<float>{1.5F, 0, 2.5F});
    ops::accumulate(x, x);
    CHECK(download(x) == std::vector<float>{3, 0, 5});
    CHECK_THROWS_AS(ops::accumulate(x, Tensor(*device, {2}, DType::f32)), Error);
    CHECK_THROWS_AS(ops::scale_in_place({x}, x), Error);
  }
}

}  // namespace
}  // namespace espalier::test
