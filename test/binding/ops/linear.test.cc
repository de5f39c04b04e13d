#include "binding/ops/linear.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "binding/cpu/gemm.h"
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

// A GPU always rounds, a CPU where it gains by it.
bool rounds_bf16(const Device& device) { return device.name() != "cpu" || cpu::has_fast_bf16(); }

// rows x N products of a [M, K] with b [K, N], either read transposed.
std::vector<double> product(const std::vector<float>& a, bool transpose_a,
                            const std::vector<float>& b, bool transpose_b, size_t m, size_t n,
                            size_t k) {
  std::vector<double> c(m * n);
  for (size_t i = 0; i < m; ++i) {
    for (size_t j = 0; j < n; ++j) {
      for (size_t l = 0; l < k; ++l) {
        const double left = a[transpose_a ? l * m + i : i * k + l];
        c[i * n + j] += left * b[transpose_b ? j * k + l : l * n + j];
      }
    }
  }
  return c;
}

TEST_CASE("bf16 products are exact products of the factors rounded to bf16") {
  for (Device* device : devices()) {
    for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
      for (const int64_t rows : {1, 7, 130}) {
        for (const int64_t n : {1, 5, 97}) {
          for (const int64_t k : {1, 3, 65, 256}) {
            const auto x = random_values(static_cast<size_t>(rows * k), 1);
            const auto w = rounded_to(random_values(static_cast<size_t>(n * k), 2), dtype);
            const auto bias = random_values(static_cast<size_t>(n), 3);
            const Tensor xs = upload(*device, x, {rows, k});
            const Tensor ws = upload_as(*device, w, {n, k}, dtype);
            const Tensor bs = upload(*device, bias, {n});
            const auto round = [&](const std::vector<float>& values) {
              return rounds_bf16(*device) ? rounded_to(values, DType::bf16) : values;
            };
            const auto expected = reference(round(x), round(w), bias, static_cast<size_t>(rows),
                                            static_cast<size_t>(k));
            const auto got = download(ops::linear(xs, ws, bs, Products::bf16));
            CHECK(normalised_error(got, expected) < 1e-11);
            CHECK(got == download(ops::linear(xs, ws, bs, Products::bf16)));
          }
        }
      }
    }
  }
}

TEST_CASE("the gradients of linear equal double-precision products") {
  for (Device* device : devices()) {
    for (const Products products : {Products::f32, Products::bf16}) {
      const auto round = [&](const std::vector<float>& values) {
        const bool rounds = products == Products::bf16 && rounds_bf16(*device);
        return rounds ? rounded_to(values, DType::bf16) : values;
      };
      for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
        for (const int64_t rows : {1, 33}) {
          for (const auto& [n, k] : {std::pair<int64_t, int64_t>{1, 1}, {5, 97}, {64, 65}}) {
            const auto dy = random_values(static_cast<size_t>(rows * n), 1);
            const auto w = rounded_to(random_values(static_cast<size_t>(n * k), 2), dtype);
            const auto x = random_values(static_cast<size_t>(rows * k), 3);
            const auto t = static_cast<size_t>(rows);
            const auto un = static_cast<size_t>(n);
            const auto uk = static_cast<size_t>(k);
            const Tensor gradient = upload(*device, dy, {rows, n});
            const Tensor dx = ops::linear_input_gradient(
                gradient, upload_as(*device, w, {n, k}, dtype), products);
            CHECK(normalised_error(download(dx),
                                   product(round(dy), false, round(w), false, t, uk, un)) < 1e-11);
            const Tensor dw =
                ops::linear_weight_gradient(gradient, upload(*device, x, {rows, k}), products);
            CHECK(normalised_error(download(dw),
                                   product(round(dy), true, round(x), false, un, uk, t)) < 1e-11);
          }
        }
      }
    }
  }
}

TEST_CASE("the gradients of linear take weights of several panels and empty tensors") {
  for (Device* each : devices()) {
    Device& device = *each;
    const auto dy = random_values(3 * 1050, 1);
    const auto w = rounded_to(random_values(1050 * 4099, 2), DType::bf16);
    const Tensor gradient = upload(device, dy, {3, 1050});
    const Tensor dx =
        ops::linear_input_gradient(gradient, upload_as(device, w, {1050, 4099}, DType::bf16));
    CHECK(normalised_error(download(dx), product(dy, false, w, false, 3, 4099, 1050)) < 1e-11);
    const Tensor nothing(device, {0, 5}, DType::f32);
    const Tensor none = ops::linear_weight_gradient(nothing, Tensor(device, {0, 4}, DType::f32));
    CHECK(download(none) == std::vector<float>(20));
    const Tensor narrow(device, {2, 0}, DType::f32);
    const Tensor zero = ops::linear_input_gradient(narrow, Tensor(device, {0, 4}, DType::f32));
    CHECK(download(zero) == std::vector<float>(8));
  }
}

TEST_CASE("linear and its gradients take sizes around the borders of tiles, and sums in parts") {
  for (Device* device : devices()) {
    for (const Products products : {Products::f32, Products::bf16}) {
      const auto round = [&](const std::vector<float>& values) {
        const bool rounds = products == Products::bf16 && rounds_bf16(*device);
        return rounds ? rounded_to(values, DType::bf16) : values;
      };
      for (const auto& [m, n, k] : {std::array<int64_t, 3>{127, 129, 40},
                                    {128, 512, 31},
                                    {257, 130, 16},
                                    {9, 65, 1000},
                                    {8, 64, 777},
                                    {300, 16, 530},
                                    {65, 17, 512}}) {
        const auto x = random_values(static_cast<size_t>(m * k), 1);
        const auto w = rounded_to(random_values(static_cast<size_t>(n * k), 2), DType::bf16);
        const auto dy = random_values(static_cast<size_t>(m * n), 3);
        const auto um = static_cast<size_t>(m);
        const auto un = static_cast<size_t>(n);
        const auto uk = static_cast<size_t>(k);
        const Tensor xs = upload(*device, x, {m, k});
        const Tensor ws = upload_as(*device, w, {n, k}, DType::bf16);
        const Tensor gradient = upload(*device, dy, {m, n});
        CHECK(normalised_error(download(ops::linear(xs, ws, std::nullopt, products)),
                               product(round(x), false, w, true, um, un, uk)) < 1e-11);
        CHECK(normalised_error(download(ops::linear_input_gradient(gradient, ws, products)),
                               product(round(dy), false, w, false, um, uk, un)) < 1e-11);
        CHECK(normalised_error(download(ops::linear_weight_gradient(gradient, xs, products)),
                               product(round(dy), true, round(x), false, un, uk, um)) < 1e-11);
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
