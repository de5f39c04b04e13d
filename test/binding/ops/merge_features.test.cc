#include "binding/ops/merge_features.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>

#include "test/binding/devices.h"

namespace espalier::test {
namespace {

std::vector<float> as_floats(const Tensor& tensor) {
  if (tensor.dtype() == DType::f32) return download(tensor);
  std::vector<float> result;
  for (const uint16_t bits : download<uint16_t>(tensor)) {
    result.push_back(tensor.dtype() == DType::bf16 ? float_from_bf16(bits) : float_from_f16(bits));
  }
  return result;
}

std::vector<int32_t> shuffled(int64_t rows, uint32_t seed) {
  std::vector<int32_t> order(static_cast<size_t>(rows));
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), std::mt19937(seed));
  return order;
}

TEST_CASE("merged rows are those of the sources, scaled in f32 and rounded once") {
  for (Device* device : devices()) {
    for (const DType to : {DType::f32, DType::bf16, DType::f16}) {
      for (const int64_t width : {1, 7, 130, 600}) {
        for (const bool permuted : {false, true}) {
          const std::vector<int64_t> sizes{3, 0, 1, 40};
          const std::vector<DType> types{DType::f32, DType::f32, DType::bf16, DType::f16};
          const std::vector<double> scales{0.25, 1, 1, 3.7};
          std::vector<Tensor> sources;
          std::vector<float> rows;
          for (size_t i = 0; i < sizes.size(); ++i) {
            const auto values = rounded_to(
                random_values(static_cast<size_t>(sizes[i] * width), static_cast<uint32_t>(i)),
                types[i]);
            sources.push_back(upload_as(*device, values, {sizes[i], width}, types[i]));
            for (const float value : values) {
              rows.push_back(value * static_cast<float>(scales[i]));
            }
          }
          const auto order = shuffled(44, 3);
          ops::OptionalTensor permutation;
          if (permuted) permutation = upload(*device, order, {44}, DType::i32);
          std::vector<float> expected;
          for (size_t k = 0; k < 44; ++k) {
            const auto row = permuted ? static_cast<size_t>(order[k]) : k;
            const auto first = rows.begin() + static_cast<int64_t>(row) * width;
            expected.insert(expected.end(), first, first + width);
          }
          const Tensor merged = ops::merge_features(sources, scales, permutation, to);
          CHECK(merged.shape() == Shape{44, width});
          CHECK(as_floats(merged) == rounded_to(expected, to));
        }
      }
    }
  }
}

TEST_CASE("dispatching reverses merging") {
  for (Device* device : devices()) {
    for (const bool permuted : {false, true}) {
      const auto values = random_values(50 * 6000, 1);
      const Tensor whole = upload(*device, values, {50, 20, 300});
      const std::vector<Tensor> sources{whole.slice(0, 7), whole.slice(7, 7), whole.slice(7, 50)};
      ops::OptionalTensor permutation;
      if (permuted) permutation = upload(*device, shuffled(50, 5), {50}, DType::i32);
      const Tensor merged = ops::merge_features(sources, {}, permutation, DType::f32);
      const auto parts =
          ops::dispatch_gradient(merged, {7, 0, 43}, {2, 1, 1}, permutation, DType::f32);
      CHECK(parts[0].shape() == Shape{7, 20, 300});
      CHECK(parts[1].shape() == Shape{0, 20, 300});
      auto doubled = std::vector<float>(values.begin(), values.begin() + 7 * 6000);
      for (float& value : doubled) value *= 2;
      CHECK(download(parts[0]) == doubled);
      CHECK(download(parts[2]) == std::vector<float>(values.begin() + 7 * 6000, values.end()));
    }
  }
}

TEST_CASE("hundreds of sources are merged and dispatched, with and without a permutation") {
  for (Device* device : devices()) {
    constexpr int64_t kWidth = 8;
    std::vector<Tensor> sources;
    std::vector<int64_t> counts;
    std::vector<float> all;
    for (uint32_t i = 0; i < 300; ++i) {
      const int64_t rows = i % 3;
      const auto values = random_values(static_cast<size_t>(rows * kWidth), i);
      sources.push_back(upload(*device, values, {rows, kWidth}));
      counts.push_back(rows);
      all.insert(all.end(), values.begin(), values.end());
    }
    CHECK(download(ops::merge_features(sources, {}, {}, DType::f32)) == all);
    std::vector<int32_t> order(300);
    std::vector<float> mixed;
    for (int32_t k = 0; k < 300; ++k) {
      order[static_cast<size_t>(k)] = k * 7 % 300;
      const auto row = all.begin() + k * 7 % 300 * kWidth;
      mixed.insert(mixed.end(), row, row + kWidth);
    }
    const Tensor permutation = upload(*device, order, {300}, DType::i32);
    const Tensor merged = ops::merge_features(sources, {}, permutation, DType::f32);
    CHECK(download(merged) == mixed);
    const auto parts = ops::dispatch_gradient(merged, counts, {}, permutation, DType::f32);
    std::vector<float> back;
    for (const Tensor& part : parts) {
      const auto values = download(part);
      back.insert(back.end(), values.begin(), values.end());
    }
    CHECK(back == all);
  }
}

TEST_CASE("merging refuses what does not fit together") {
  Device& device = *devices().front();
  const Tensor x = upload(device, random_values(8, 1), {2, 4});
  const Tensor narrow = upload(device, random_values(6, 1), {2, 3});
  CHECK_THROWS_AS(ops::merge_features({}, {}, {}, DType::f32), Error);
  CHECK_THROWS_AS(ops::merge_features({x, narrow}, {}, {}, DType::f32), Error);
  CHECK_THROWS_AS(ops::merge_features({x}, {1, 2}, {}, DType::f32), Error);
  CHECK_THROWS_AS(ops::merge_features({x}, {}, {}, DType::i32), Error);
  CHECK_THROWS_AS(ops::dispatch_gradient(x, {1}, {}, {}, DType::f32), Error);
  CHECK_THROWS_AS(ops::dispatch_gradient(x, {3, -1}, {}, {}, DType::f32), Error);
  for (const std::vector<int32_t>& order : {std::vector<int32_t>{0, 0}, {0, 2}, {-1, 0}}) {
    const Tensor permutation = upload(device, order, {2}, DType::i32);
    std::vector<float> target;
    CHECK(download(ops::merge_features({x}, {}, permutation, DType::f32), target).code() ==
          ErrorCode::shape);
    CHECK(download(ops::dispatch_gradient(x, {2}, {}, permutation, DType::f32)[0], target).code() ==
          ErrorCode::shape);
  }
}

}  // namespace
}  // namespace espalier::test
