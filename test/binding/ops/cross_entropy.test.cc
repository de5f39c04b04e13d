#include "binding/ops/cross_entropy.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "test/binding/devices.h"

namespace espalier::test {
namespace {

constexpr int64_t kIgnored = -100;

std::vector<double> reference(const std::vector<float>& hidden, const std::vector<float>& w,
                              const std::vector<float>& bias, const std::vector<int32_t>& targets) {
  const size_t width = hidden.size() / targets.size();
  std::vector<double> losses;
  for (size_t row = 0; row < targets.size(); ++row) {
    std::vector<double> z;
    double best = -1e300;
    for (size_t v = 0; v < bias.size(); ++v) {
      double sum = bias[v];
      for (size_t i = 0; i < width; ++i) {
        sum += static_cast<double>(hidden[row * width + i]) * w[v * width + i];
      }
      z.push_back(sum);
      best = std::max(best, sum);
    }
    double total = 0;
    for (const double value : z) total += std::exp(value - best);
    losses.push_back(targets[row] == kIgnored
                         ? 0
                         : std::log(total) + best - z[static_cast<size_t>(targets[row])]);
  }
  return losses;
}

TEST_CASE("crossEntropy equals the double-precision loss whatever the chunk") {
  for (Device* device : devices()) {
    for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
      for (const int64_t vocabulary : {1, 3, 31, 105, 1000}) {
        constexpr int64_t kRows = 13;
        constexpr int64_t kWidth = 24;
        const auto hidden = random_values(kRows * kWidth, 1);
        const auto w =
            rounded_to(random_values(static_cast<size_t>(vocabulary * kWidth), 2), dtype);
        const auto bias = rounded_to(random_values(static_cast<size_t>(vocabulary), 3), dtype);
        std::vector<int32_t> targets;
        for (int64_t i = 0; i < kRows; ++i) {
          targets.push_back(static_cast<int32_t>(i % 5 == 2 ? kIgnored : i * 7 % vocabulary));
        }
        const auto expected = reference(hidden, w, bias, targets);
        for (const int64_t chunk : {0, 1, 4, 100}) {
          const auto loss = download(ops::cross_entropy(
              upload(*device, hidden, {kRows, kWidth}),
              upload_as(*device, w, {vocabulary, kWidth}, dtype),
              upload(*device, targets, {kRows}, DType::i32),
              {.bias = upload_as(*device, bias, {vocabulary}, dtype), .chunk = chunk}));
          CHECK(normalised_error(loss, expected) < 1e-11);
          CHECK(loss[2] == 0.0F);
        }
      }
    }
  }
}

TEST_CASE("crossEntropy is exact for logits that overflow exp, and keeps NaN within its row") {
  for (Device* device : devices()) {
    const Tensor w = upload(*device, std::vector<float>{1, 0}, {2, 1});
    const Tensor hidden =
        upload(*device, std::vector<float>{1e5F, -1e5F, std::nanf(""), 0}, {4, 1});
    const Tensor targets = upload(*device, std::vector<int64_t>{0, 0, 0, 1}, {4}, DType::i64);
    const auto loss = download(ops::cross_entropy(hidden, w, targets, {}));
    CHECK(loss[0] == 0.0F);
    CHECK(loss[1] == 1e5F);
    CHECK(std::isnan(loss[2]));
    CHECK(loss[3] == doctest::Approx(std::log(2.0)));
    const Tensor none(*device, {0, 1}, DType::f32);
    CHECK(download(ops::cross_entropy(none, w, Tensor(*device, {0}, DType::i64), {})).empty());
  }
}

TEST_CASE("crossEntropy fails the read for a target outside the vocabulary") {
  for (Device* device : devices()) {
    const Tensor w = upload(*device, std::vector<float>{1, 0, 2}, {3, 1});
    const Tensor hidden = upload(*device, std::vector<float>{1, 2}, {2, 1});
    std::vector<float> values;
    for (const int64_t bad : {int64_t{-1}, int64_t{3}, std::numeric_limits<int64_t>::min(),
                              std::numeric_limits<int64_t>::max()}) {
      const Tensor targets = upload(*device, std::vector<int64_t>{0, bad}, {2}, DType::i64);
      CHECK(download(ops::cross_entropy(hidden, w, targets, {}), values).code() ==
            ErrorCode::shape);
      CHECK(download(ops::cross_entropy(hidden, w, targets, {.bias = {}, .ignore_index = bad}),
                     values)
                .ok());
    }
  }
}

TEST_CASE("crossEntropy names the argument that does not fit") {
  Device& device = *devices().front();
  const Tensor hidden(device, {2, 4}, DType::f32);
  const Tensor w(device, {3, 4}, DType::f32);
  const Tensor targets(device, {2}, DType::i32);
  CHECK_THROWS_WITH_AS(ops::cross_entropy(hidden, Tensor(device, {3, 5}, DType::f32), targets, {}),
                       "w: expected [V, 4], got [3, 5]", Error);
  CHECK_THROWS_AS(ops::cross_entropy(hidden, w, Tensor(device, {3}, DType::i32), {}), Error);
  CHECK_THROWS_AS(ops::cross_entropy(hidden, w, Tensor(device, {2}, DType::f32), {}), Error);
  CHECK_THROWS_AS(ops::cross_entropy(hidden, w, targets, {.bias = {}, .chunk = -1}), Error);
  CHECK_THROWS_AS(ops::cross_entropy(hidden, w, targets, {.bias = hidden}), Error);
}

}  // namespace
}  // namespace espalier::test
