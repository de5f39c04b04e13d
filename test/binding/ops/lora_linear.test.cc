#include "binding/ops/lora_linear.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "binding/cpu/gemm.h"
#include "binding/ops/dropout.h"
#include "test/binding/devices.h"

namespace espalier::test {
namespace {

using Values = std::vector<double>;

Values widened(const std::vector<float>& values) { return {values.begin(), values.end()}; }

// One layer in host memory, and its tensors.
struct Layer {
  int64_t n;
  int64_t rank;
  DType dtype = DType::f32;
  double dropout = 0;
  uint64_t seed = 7;
  double scale = 1.5;
  std::vector<float> w, bias, a, b;

  Layer(int64_t outputs, int64_t inputs, int64_t r, uint32_t random) : n(outputs), rank(r) {
    w = random_values(static_cast<size_t>(n * inputs), random);
    bias = random_values(static_cast<size_t>(n), random + 1);
    a = random_values(static_cast<size_t>(r * inputs), random + 2);
    b = random_values(static_cast<size_t>(n * r), random + 3);
  }

  [[nodiscard]] ops::LoraLayer upload_to(Device& device) const {
    const int64_t k = static_cast<int64_t>(w.size()) / n;
    ops::LoraLayer layer{.weight = upload_as(device, w, {n, k}, dtype),
                         .bias = upload(device, bias, {n}),
                         .a = {},
                         .b = {},
                         .scale = scale,
                         .dropout = dropout,
                         .seed = seed};
    if (rank > 0) {
      layer.a = upload(device, a, {rank, k});
      layer.b = upload(device, b, {n, rank});
    }
    return layer;
  }
};

// y of one layer in double precision, for factors that may differ from the layer's own.
Values forward(const Layer& layer, const Values& x, const Values& dropped, const Values& a,
               const Values& b, size_t rows, size_t k) {
  const auto n = static_cast<size_t>(layer.n);
  const auto r = static_cast<size_t>(layer.rank);
  const auto w = rounded_to(layer.w, layer.dtype);
  Values y(rows * n);
  for (size_t t = 0; t < rows; ++t) {
    Values h(r);
    for (size_t j = 0; j < r; ++j) {
      for (size_t l = 0; l < k; ++l) h[j] += dropped[t * k + l] * a[j * k + l];
    }
    for (size_t o = 0; o < n; ++o) {
      double sum = layer.bias[o];
      for (size_t l = 0; l < k; ++l) sum += x[t * k + l] * w[o * k + l];
      for (size_t j = 0; j < r; ++j) sum += layer.scale * h[j] * b[o * r + j];
      y[t * n + o] = sum;
    }
  }
  return y;
}

// x as one layer's path sees it: the factors of the mask are those of the op `dropout`.
Values mask_of(Device& device, const Layer& layer, int64_t rows, int64_t k) {
  const auto count = static_cast<size_t>(rows * k);
  const Tensor ones = upload(device, std::vector<float>(count, 1.0F), {rows, k});
  return widened(download(ops::dropout(ones, layer.dropout, layer.seed)));
}

Values times(Values x, const Values& mask) {
  for (size_t i = 0; i < x.size(); ++i) x[i] *= mask[i];
  return x;
}

double projected(const Values& y, const std::vector<float>& c) {
  double sum = 0;
  for (size_t i = 0; i < y.size(); ++i) sum += y[i] * c[i];
  return sum;
}

// Central differences of `f` at every entry of `point`.
template <class Function>
Values differences(Values point, Function&& f) {
  constexpr double kStep = 1e-4;
  Values result;
  for (double& value : point) {
    const double kept = value;
    value = kept + kStep;
    const double above = f(point);
    value = kept - kStep;
    result.push_back((above - f(point)) / (2 * kStep));
    value = kept;
  }
  return result;
}

TEST_CASE("loraLinear equals the double-precision layer for any sizes, dtype and dropout") {
  for (Device* device : devices()) {
    for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
      for (const double dropout : {0.0, 0.3}) {
        for (const int64_t rows : {0, 1, 6, 67}) {
          for (const int64_t k : {1, 19, 160}) {
            for (const int64_t rank : {0, 1, 7, 8, 33}) {
              Layer layer(29, k, rank, 5);
              layer.dtype = dtype;
              layer.dropout = dropout;
              const auto x = random_values(static_cast<size_t>(rows * k), 1);
              const auto outputs =
                  ops::lora_linear(upload(*device, x, {rows, k}), {layer.upload_to(*device)});
              const Values dropped = times(widened(x), mask_of(*device, layer, rows, k));
              const Values expected =
                  forward(layer, widened(x), dropped, widened(layer.a), widened(layer.b),
                          static_cast<size_t>(rows), static_cast<size_t>(k));
              CHECK(normalised_error(download(outputs[0].output), expected) < 1e-11);
              CHECK(outputs[0].hidden.has_value() == (rank > 0));
            }
          }
        }
      }
    }
  }
}

TEST_CASE("the gradients of loraLinear are finite differences of the double-precision layer") {
  for (Device* device : devices()) {
    for (const double dropout : {0.0, 0.4}) {
      for (const int64_t rows : {1, 5, 37}) {
        for (const int64_t k : {1, 21}) {
          for (const int64_t rank : {1, 3, 8}) {
            const auto t = static_cast<size_t>(rows);
            const auto uk = static_cast<size_t>(k);
            std::vector<Layer> layers{Layer(18, k, rank, 5), Layer(7, k, 2, 50)};
            layers[0].dropout = dropout;
            const auto x = random_values(t * uk, 1);
            const Tensor input = upload(*device, x, {rows, k});
            std::vector<ops::LoraLayer> tensors;
            for (const Layer& layer : layers) tensors.push_back(layer.upload_to(*device));
            const auto outputs = ops::lora_linear(input, tensors);
            std::vector<ops::LoraLayerGradient> parts;
            std::vector<std::vector<float>> weights;
            for (size_t i = 0; i < layers.size(); ++i) {
              weights.push_back(random_values(t * static_cast<size_t>(layers[i].n),
                                              90 + static_cast<uint32_t>(i)));
              parts.push_back({.gradient = upload(*device, weights[i], {rows, layers[i].n}),
                               .layer = tensors[i],
                               .hidden = outputs[i].hidden});
            }
            const auto gradients = ops::lora_linear_backward(input, input.shape(), parts, true);
            Values dx(t * uk);
            for (size_t i = 0; i < layers.size(); ++i) {
              const Layer& layer = layers[i];
              const Values mask = mask_of(*device, layer, rows, k);
              const Values a = widened(layer.a);
              const Values b = widened(layer.b);
              const Values xs = widened(x);
              const auto value = [&](const Values& at, const Values& fa, const Values& fb) {
                return projected(forward(layer, at, times(at, mask), fa, fb, t, uk), weights[i]);
              };
              const Values da = differences(a, [&](const Values& p) { return value(xs, p, b); });
              const Values db = differences(b, [&](const Values& p) { return value(xs, a, p); });
              const Values part = differences(xs, [&](const Values& p) { return value(p, a, b); });
              for (size_t j = 0; j < dx.size(); ++j) dx[j] += part[j];
              CHECK(normalised_error(download(*gradients.paths[i].a), da) < 1e-9);
              CHECK(normalised_error(download(*gradients.paths[i].b), db) < 1e-9);
            }
            CHECK(normalised_error(download(*gradients.x), dx) < 1e-9);
          }
        }
      }
    }
  }
}

TEST_CASE("several projections give what separate ones give, and the same bits each time") {
  for (Device* device : devices()) {
    for (const Products products : {Products::f32, Products::bf16}) {
      for (const double dropout : {0.0, 0.2}) {
        const int64_t rows = 130;
        const int64_t k = 200;
        std::vector<ops::LoraLayer> layers;
        for (const int64_t rank : {8, 0, 3}) {
          Layer layer(40 + rank, k, rank, static_cast<uint32_t>(rank));
          layer.dropout = rank == 3 ? dropout : 0;
          layer.dtype = DType::bf16;
          layers.push_back(layer.upload_to(*device));
        }
        const Tensor x =
            upload(*device, random_values(static_cast<size_t>(rows * k), 1), {rows, k});
        const auto together = ops::lora_linear(x, layers, products);
        std::vector<ops::LoraLayerGradient> parts;
        std::vector<double> dx(static_cast<size_t>(rows * k));
        for (size_t i = 0; i < layers.size(); ++i) {
          const auto alone = ops::lora_linear(x, {layers[i]}, products);
          CHECK(download(together[i].output) == download(alone[0].output));
          const int64_t n = layers[i].weight.shape()[0];
          parts.push_back({.gradient = upload(
                               *device, random_values(static_cast<size_t>(rows * n), 9), {rows, n}),
                           .layer = layers[i],
                           .hidden = together[i].hidden});
          const auto separate =
              download(*ops::lora_linear_backward(x, x.shape(), {parts[i]}, true, products).x);
          for (size_t j = 0; j < dx.size(); ++j) dx[j] += separate[j];
        }
        const auto both = ops::lora_linear_backward(x, x.shape(), parts, true, products);
        CHECK(normalised_error(download(*both.x), dx) < 1e-11);
        CHECK(download(*both.x) ==
              download(*ops::lora_linear_backward(x, x.shape(), parts, true, products).x));
        CHECK(!both.paths[1].a.has_value());
      }
    }
  }
}

TEST_CASE("loraLinear computes only the gradients that are wanted, and zeros without an upstream") {
  for (Device* each : devices()) {
    Device& device = *each;
    const Layer layer(12, 20, 4, 3);
    const ops::LoraLayer tensors = layer.upload_to(device);
    const Tensor x = upload(device, random_values(60, 1), {3, 20});
    const auto outputs = ops::lora_linear(x, {tensors});
    ops::LoraLayerGradient part{.gradient = upload(device, random_values(36, 2), {3, 12}),
                                .layer = tensors,
                                .hidden = outputs[0].hidden};
    const auto all = ops::lora_linear_backward(x, x.shape(), {part}, true);
    part.wants_b = false;
    const auto some = ops::lora_linear_backward(x, x.shape(), {part}, false);
    CHECK(!some.x.has_value());
    CHECK(!some.paths[0].b.has_value());
    CHECK(download(*some.paths[0].a) == download(*all.paths[0].a));
    part.wants_a = false;
    const auto without = ops::lora_linear_backward(std::nullopt, x.shape(), {part}, true);
    CHECK(download(*without.x) == download(*all.x));
    part.wants_a = true;
    CHECK_THROWS_WITH_AS(ops::lora_linear_backward(std::nullopt, x.shape(), {part}, true),
                         "x: expected a tensor, got none", Error);
    part.wants_b = true;
    part.gradient.reset();
    const auto none = ops::lora_linear_backward(x, x.shape(), {part}, true);
    CHECK(download(*none.x) == std::vector<float>(60));
    CHECK(download(*none.paths[0].a) == std::vector<float>(80));
    CHECK(download(*none.paths[0].b) == std::vector<float>(48));
  }
}

TEST_CASE("loraLinear takes ranks and widths beyond one block, and propagates NaN") {
  for (Device* each : devices()) {
    Device& device = *each;
    Layer layer(700, 1111, 64, 3);
    auto x = random_values(150 * 1111, 1);
    const auto outputs =
        ops::lora_linear(upload(device, x, {150, 1111}), {layer.upload_to(device)});
    const Values expected =
        forward(layer, widened(x), widened(x), widened(layer.a), widened(layer.b), 150, 1111);
    CHECK(normalised_error(download(outputs[0].output), expected) < 1e-11);
    x[1111] = std::numeric_limits<float>::quiet_NaN();
    const auto poisoned = download(
        ops::lora_linear(upload(device, x, {150, 1111}), {layer.upload_to(device)})[0].output);
    CHECK(std::isnan(poisoned[700]));
    CHECK(std::isfinite(poisoned[699]));
  }
}

TEST_CASE("loraLinear names the argument that does not fit") {
  Device& device = *devices().front();
  const Tensor x(device, {2, 4}, DType::f32);
  const ops::LoraLayer good{.weight = Tensor(device, {3, 4}, DType::bf16),
                            .bias = {},
                            .a = Tensor(device, {2, 4}, DType::f32),
                            .b = Tensor(device, {3, 2}, DType::f32)};
  CHECK_THROWS_WITH_AS(ops::lora_linear(x, {}), "layers: expected at least one, got none", Error);
  auto layer = good;
  layer.a = Tensor(device, {2, 5}, DType::f32);
  CHECK_THROWS_WITH_AS(ops::lora_linear(x, {layer}),
                       "a: expected [r, 4] with r at least 1, got [2, 5]", Error);
  layer = good;
  layer.b.reset();
  CHECK_THROWS_AS(ops::lora_linear(x, {layer}), Error);
  layer = good;
  layer.b = Tensor(device, {3, 1}, DType::f32);
  CHECK_THROWS_AS(ops::lora_linear(x, {layer}), Error);
  for (const double dropout : {-0.1, 1.0, std::nan("")}) {
    layer = good;
    layer.dropout = dropout;
    CHECK_THROWS_AS(ops::lora_linear(x, {layer}), Error);
  }
  CHECK_THROWS_AS(
      ops::lora_linear_backward(x, x.shape(), {{.gradient = x, .layer = good, .hidden = {}}}, true),
      Error);
}

}  // namespace
}  // namespace espalier::test
