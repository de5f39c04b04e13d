#include "binding/cpu/block_product.h"

#include <doctest/doctest.h>
#include <omp.h>

#include <array>
#include <span>
#include <vector>

#include "binding/cpu/amx_blocks.h"
#include "binding/cpu/amx_product.h"
#include "binding/ops/cast.h"
#include "binding/ops/linear.h"
#include "binding/ops/lora_linear.h"
#include "test/binding/devices.h"

namespace espalier::test {
namespace {

// Bytes of `values` in a dtype, and what they stand for.
struct Weight {
  Shape shape;
  DType dtype;
  std::vector<float> values;
  std::vector<uint16_t> bits = {};

  Weight(int64_t n, int64_t k, DType d, uint32_t seed) : shape({n, k}), dtype(d) {
    values = rounded_to(random_values(static_cast<size_t>(n * k), seed), d);
    if (d == DType::f32) return;
    for (const float value : values) {
      bits.push_back(d == DType::bf16 ? bf16_from_float(value) : f16_from_float(value));
    }
  }
  [[nodiscard]] ConstView view() const {
    const void* data = dtype == DType::f32 ? static_cast<const void*>(values.data()) : bits.data();
    return {.data = data, .dtype = dtype, .shape = shape};
  }
};

// before + x Wᵀ in double precision.
std::vector<double> product(const std::vector<float>& x, const Weight& weight, int64_t rows,
                            float before) {
  const int64_t n = weight.shape[0];
  const int64_t k = weight.shape[1];
  std::vector<double> y(static_cast<size_t>(rows * n), before);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t c = 0; c < k; ++c) {
        y[static_cast<size_t>(r * n + j)] +=
            static_cast<double>(x[static_cast<size_t>(r * k + c)]) *
            weight.values[static_cast<size_t>(j * k + c)];
      }
    }
  }
  return y;
}

// The products of one x with three weights, each added to 0.5 or in its place.
void check_blocks(Status (*multiply)(const float*, int64_t, std::span<const cpu::WeightProduct>),
                  DType factors, int64_t rows, int64_t k) {
  CAPTURE(rows);
  CAPTURE(k);
  const auto x = random_values(static_cast<size_t>(rows * k), 1);
  const std::array<Weight, 3> weights = {Weight(33, k, DType::f32, 2), Weight(1, k, DType::bf16, 3),
                                         Weight(80, k, DType::f16, 4)};
  const int most = omp_get_max_threads();
  for (const bool accumulate : {false, true}) {
    std::array<std::vector<std::vector<float>>, 2> results;
    for (const int threads : {1, 3}) {
      std::vector<std::vector<float>> y;
      std::vector<cpu::WeightProduct> products;
      for (const Weight& weight : weights) {
        y.emplace_back(static_cast<size_t>(rows * weight.shape[0]), 0.5F);
      }
      for (size_t i = 0; i < weights.size(); ++i) {
        products.push_back(
            {.weight = weights[i].view(), .y = y[i].data(), .accumulate = accumulate});
      }
      omp_set_num_threads(threads);
      const Status status = multiply(x.data(), rows, products);
      omp_set_num_threads(most);
      REQUIRE(status.ok());
      for (size_t i = 0; i < weights.size(); ++i) {
        Weight weight = weights[i];
        weight.values = rounded_to(weight.values, factors);
        const auto want = product(rounded_to(x, factors), weight, rows, accumulate ? 0.5F : 0);
        CHECK(normalised_error(y[i], want) < 1e-11);
      }
      results[threads == 1 ? 0 : 1] = y;
    }
    CHECK(results[0] == results[1]);
  }
}

TEST_CASE("products by blocks of rows equal the double-precision ones, in any number of threads") {
  for (const int64_t rows : {1, 128, 300}) {
    for (const int64_t k : {1, 16, 45}) check_blocks(cpu::multiply_blocks, DType::f32, rows, k);
  }
}

TEST_CASE("blocks of rows in AMX tiles multiply factors rounded to bf16, in any number of threads" *
          doctest::skip(!cpu::has_amx_bf16())) {
  for (const int64_t rows : {1, 31, 128, 300}) {
    for (const int64_t k : {1, 45, 64, 600}) {
      check_blocks(cpu::multiply_amx_blocks, DType::bf16, rows, k);
    }
  }
}

TEST_CASE("layers of many rows give each weight's own product, with the bits of f32 weights") {
  // The dispatcher's thread has as many threads as this one.
  const int64_t rows = 1024 * omp_get_max_threads() + 7;
  REQUIRE(cpu::suits_blocks(rows, 40, 24));
  Device& device = cpu::cpu_device();
  const auto values = random_values(static_cast<size_t>(rows * 24), 1);
  const Tensor x = upload(device, values, {rows, 24});
  std::vector<ops::LoraLayer> layers;
  for (const uint32_t seed : {2U, 3U}) {
    const auto w = random_values(40 * 24, seed);
    layers.push_back({.weight = upload_as(device, w, {40, 24}, DType::bf16),
                      .bias = upload(device, random_values(40, seed + 5), {40}),
                      .a = {},
                      .b = {}});
  }
  const auto outputs = ops::lora_linear(x, layers);
  for (size_t i = 0; i < layers.size(); ++i) {
    const auto y = download(outputs[i].output);
    CHECK(y == download(ops::linear(x, layers[i].weight, layers[i].bias)));
    CHECK(y == download(ops::linear(x, ops::cast(layers[i].weight, DType::f32), layers[i].bias)));
  }
}

}  // namespace
}  // namespace espalier::test
