#include "binding/ops/pool.h"

#include <doctest/doctest.h>

#include <cmath>

#include "test/binding/devices.h"
#include "test/binding/finite_differences.h"

namespace espalier::test {
namespace {

constexpr int64_t kBatch = 3;
constexpr int64_t kTokens = 4;
constexpr int64_t kWidth = 5;

std::vector<double> pooled(const std::vector<double>& x, const std::vector<uint8_t>& mask) {
  std::vector<double> y(kBatch * kWidth);
  for (size_t b = 0; b < kBatch; ++b) {
    double count = 0;
    for (size_t t = 0; t < kTokens; ++t) count += mask[b * kTokens + t] != 0 ? 1 : 0;
    for (size_t t = 0; t < kTokens; ++t) {
      if (mask[b * kTokens + t] == 0) continue;
      for (size_t i = 0; i < kWidth; ++i) {
        y[b * kWidth + i] += x[(b * kTokens + t) * kWidth + i] / count;
      }
    }
  }
  return y;
}

TEST_CASE("meanPool averages the tokens under the mask, and its gradient is that of the formula") {
  for (Device* device : devices()) {
    const auto x = random_values(kBatch * kTokens * kWidth, 1);
    const auto dy = random_values(kBatch * kWidth, 2);
    const std::vector<uint8_t> mask{1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 255};
    const Tensor m = upload(*device, mask, {kBatch, kTokens}, DType::u8);
    const auto y = download(ops::mean_pool(upload(*device, x, {kBatch, kTokens, kWidth}), m));
    CHECK(normalised_error(y, pooled(widened(x), mask)) < 1e-13);
    CHECK(y[kWidth] == 0.0F);
    const auto expected =
        finite_differences(widened(x), [&](const auto& at) { return dot(pooled(at, mask), dy); });
    const auto dx = download(ops::mean_pool_backward(upload(*device, dy, {kBatch, kWidth}), m));
    CHECK(normalised_error(dx, expected) < 1e-13);
  }
}

TEST_CASE("meanPool leaves NaN of masked tokens out") {
  for (Device* device : devices()) {
    const Tensor x = upload(*device, std::vector<float>{1, std::nanf("")}, {1, 2, 1});
    const Tensor mask = upload(*device, std::vector<uint8_t>{1, 0}, {1, 2}, DType::u8);
    CHECK(download(ops::mean_pool(x, mask)) == std::vector<float>{1});
    CHECK_THROWS_AS(ops::mean_pool(x, Tensor(*device, {2, 2}, DType::u8)), Error);
    CHECK_THROWS_AS(ops::mean_pool(x, Tensor(*device, {1, 2}, DType::i32)), Error);
  }
}

TEST_CASE("selectToken takes one token per sequence and sends its gradient back there") {
  for (Device* device : devices()) {
    const auto x = random_values(kBatch * kTokens * kWidth, 1);
    const auto dy = random_values(kBatch * kWidth, 2);
    const std::vector<int32_t> index{0, 3, 2};
    const Tensor at = upload(*device, index, {kBatch}, DType::i32);
    const auto y = download(ops::select_token(upload(*device, x, {kBatch, kTokens, kWidth}), at));
    std::vector<float> expected(x.size());
    for (size_t b = 0; b < kBatch; ++b) {
      for (size_t i = 0; i < kWidth; ++i) {
        const size_t source = (b * kTokens + static_cast<size_t>(index[b])) * kWidth + i;
        CHECK(y[b * kWidth + i] == x[source]);
        expected[source] = dy[b * kWidth + i];
      }
    }
    const Tensor gradient = upload(*device, dy, {kBatch, kWidth});
    CHECK(download(ops::select_token_backward(gradient, at, kTokens)) == expected);
    std::vector<float> values;
    const Tensor bad = upload(*device, std::vector<int64_t>{0, 4, 0}, {kBatch}, DType::i64);
    const Tensor input = upload(*device, x, {kBatch, kTokens, kWidth});
    CHECK(download(ops::select_token(input, bad), values).code() == ErrorCode::shape);
    CHECK_THROWS_AS(ops::select_token(input, Tensor(*device, {2}, DType::i32)), Error);
  }
}

}  // namespace
}  // namespace espalier::test
