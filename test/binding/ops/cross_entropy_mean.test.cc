#include "binding/ops/cross_entropy_mean.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "test/binding/devices.h"
#include "test/binding/finite_differences.h"

namespace espalier::test {
namespace {

constexpr int32_t kIgnored = -100;

// Mean loss of logits z [N, C] in double precision.
double mean_loss(const std::vector<double>& z, const std::vector<int32_t>& targets) {
  const size_t classes = z.size() / targets.size();
  double sum = 0;
  double counted = 0;
  for (size_t row = 0; row < targets.size(); ++row) {
    if (targets[row] == kIgnored) continue;
    const double* logits = z.data() + row * classes;
    const double best = *std::max_element(logits, logits + classes);
    double total = 0;
    for (size_t v = 0; v < classes; ++v) total += std::exp(logits[v] - best);
    sum += std::log(total) + best - logits[targets[row]];
    ++counted;
  }
  return counted == 0 ? 0 : sum / counted;
}

std::vector<double> logits_of(const std::vector<double>& hidden, const std::vector<double>& w,
                              const std::vector<double>& bias) {
  const size_t width = w.size() / bias.size();
  std::vector<double> z;
  for (size_t row = 0; row < hidden.size() / width; ++row) {
    for (size_t v = 0; v < bias.size(); ++v) {
      double sum = bias[v];
      for (size_t i = 0; i < width; ++i) sum += hidden[row * width + i] * w[v * width + i];
      z.push_back(sum);
    }
  }
  return z;
}

std::vector<int32_t> some_targets(int64_t rows, int64_t classes) {
  std::vector<int32_t> targets;
  for (int64_t i = 0; i < rows; ++i) {
    targets.push_back(i % 4 == 1 ? kIgnored : static_cast<int32_t>(i * 7 % classes));
  }
  return targets;
}

TEST_CASE("crossEntropyMean and its gradients equal finite differences whatever chunk and dtype") {
  constexpr int64_t kRows = 9;
  constexpr int64_t kWidth = 5;
  for (Device* device : devices()) {
    for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
      for (const int64_t vocabulary : {1, 3, 37}) {
        const auto hidden = random_values(kRows * kWidth, 1);
        const auto count = static_cast<size_t>(vocabulary);
        const auto w = rounded_to(random_values(count * kWidth, 2), dtype);
        const auto bias = rounded_to(random_values(count, 3), dtype);
        const auto targets = some_targets(kRows, vocabulary);
        const auto h64 = widened(hidden);
        const auto w64 = widened(w);
        const auto b64 = widened(bias);
        const double loss = mean_loss(logits_of(h64, w64, b64), targets);
        const auto dh = finite_differences(
            h64, [&](const auto& h) { return mean_loss(logits_of(h, w64, b64), targets); });
        const auto dw = finite_differences(
            w64, [&](const auto& x) { return mean_loss(logits_of(h64, x, b64), targets); });
        const auto db = finite_differences(
            b64, [&](const auto& b) { return mean_loss(logits_of(h64, w64, b), targets); });
        for (const int64_t chunk : {0, 1, 4}) {
          const auto got = ops::cross_entropy_mean(
              upload(*device, hidden, {kRows, kWidth}),
              upload_as(*device, w, {vocabulary, kWidth}, dtype),
              upload(*device, targets, {kRows}, DType::i32),
              {.bias = upload_as(*device, bias, {vocabulary}, dtype), .chunk = chunk},
              {.hidden = true, .weight = true, .bias = true});
          CHECK(download(got.loss)[0] == doctest::Approx(loss).epsilon(1e-5));
          if (vocabulary == 1) {
            CHECK(normalised_error(download(*got.hidden), std::vector<double>(dh.size())) < 1e-12);
            continue;
          }
          CHECK(normalised_error(download(*got.hidden), dh) < 1e-10);
          CHECK(normalised_error(download(*got.weight), dw) < 1e-10);
          CHECK(normalised_error(download(*got.bias), db) < 1e-10);
        }
      }
    }
  }
}

TEST_CASE("crossEntropyMean is zero with zero gradients when no target counts") {
  for (Device* device : devices()) {
    const Tensor hidden = upload(*device, random_values(6, 1), {2, 3});
    const Tensor w = upload(*device, random_values(12, 2), {4, 3});
    const Tensor targets =
        upload(*device, std::vector<int32_t>{kIgnored, kIgnored}, {2}, DType::i32);
    const auto got =
        ops::cross_entropy_mean(hidden, w, targets, {}, {.hidden = true, .weight = true});
    CHECK(download(got.loss) == std::vector<float>{0});
    CHECK(download(*got.hidden) == std::vector<float>(6));
    CHECK(download(*got.weight) == std::vector<float>(12));
    CHECK_FALSE(got.bias);
  }
}

TEST_CASE("crossEntropyMean without gradients gives the same bits and fails for unknown targets") {
  for (Device* device : devices()) {
    const Tensor hidden = upload(*device, random_values(64, 1), {8, 8});
    const Tensor w = upload(*device, random_values(800, 2), {100, 8});
    const Tensor targets = upload(*device, some_targets(8, 100), {8}, DType::i32);
    const auto plain = ops::cross_entropy_mean(hidden, w, targets, {}, {});
    const auto with = ops::cross_entropy_mean(hidden, w, targets, {}, {.hidden = true});
    CHECK(download(plain.loss) == download(with.loss));
    std::vector<float> values;
    const Tensor bad =
        upload(*device, std::vector<int32_t>{0, 1, 2, 3, 4, 5, 6, 100}, {8}, DType::i32);
    CHECK(download(ops::cross_entropy_mean(hidden, w, bad, {}, {}).loss, values).code() ==
          ErrorCode::shape);
    CHECK_THROWS_AS(
        ops::cross_entropy_mean(hidden, hidden, Tensor(*device, {7}, DType::i32), {}, {}), Error);
  }
}

TEST_CASE("softmaxCrossEntropy and its gradient equal finite differences") {
  for (Device* device : devices()) {
    for (const int64_t classes : {2, 3, 40}) {
      constexpr int64_t kRows = 7;
      const auto logits = random_values(static_cast<size_t>(kRows * classes), 5, 3.0F);
      const auto labels = some_targets(kRows, classes);
      const auto expected =
          finite_differences(widened(logits), [&](const auto& z) { return mean_loss(z, labels); });
      const Tensor z = upload(*device, logits, {kRows, classes});
      const Tensor y = upload(*device, labels, {kRows}, DType::i32);
      const auto got = ops::softmax_cross_entropy(z, y, kIgnored, true);
      CHECK(download(got.loss)[0] ==
            doctest::Approx(mean_loss(widened(logits), labels)).epsilon(1e-6));
      CHECK(normalised_error(download(*got.gradient), expected) < 1e-10);
      CHECK(download(z) == logits);
      const auto plain = ops::softmax_cross_entropy(z, y, kIgnored, false);
      CHECK(download(plain.loss) == download(got.loss));
      CHECK_FALSE(plain.gradient);
    }
  }
}

TEST_CASE(
    "softmaxCrossEntropy equals the formula for rows long and short, rising and with -infinity") {
  const double infinity = std::numeric_limits<double>::infinity();
  for (Device* device : devices()) {
    for (const size_t classes : {5, 64, 1030, 1500, 4100}) {
      std::vector<float> logits = random_values(4 * classes, 5, 3.0F);
      for (size_t c = 0; c < classes; ++c) {
        logits[classes + c] = static_cast<float>(c) * 0.01F;
        if (c % 3 != 1) logits[2 * classes + c] = static_cast<float>(-infinity);
      }
      const std::vector<int32_t> labels{3, 1, 1, kIgnored};
      std::vector<double> expected(4 * classes);
      for (size_t row = 0; row < 3; ++row) {
        const float* z = logits.data() + row * classes;
        double total = 0;
        for (size_t c = 0; c < classes; ++c) total += std::exp(static_cast<double>(z[c]));
        for (size_t c = 0; c < classes; ++c) {
          const double hot = static_cast<int32_t>(c) == labels[row] ? 1 : 0;
          expected[row * classes + c] = (std::exp(static_cast<double>(z[c])) / total - hot) / 3;
        }
      }
      const auto count = static_cast<int64_t>(classes);
      const auto got =
          ops::softmax_cross_entropy(upload(*device, logits, {4, count}),
                                     upload(*device, labels, {4}, DType::i32), kIgnored, true);
      const double loss = mean_loss(widened(logits), labels);
      CHECK(download(got.loss)[0] == doctest::Approx(loss).epsilon(1e-6));
      CHECK(normalised_error(download(*got.gradient), expected) < 1e-12);
    }
  }
}

TEST_CASE(
    "softmaxCrossEntropy of a row with NaN or nothing but -infinity is NaN in that row only") {
  for (Device* device : devices()) {
    for (const size_t classes : {5, 2000}) {
      for (const bool nothing : {false, true}) {
        std::vector<float> logits(2 * classes, 1.0F);
        logits[classes - 1] = std::nanf("");
        if (nothing) {
          std::fill_n(logits.begin(), classes, -std::numeric_limits<float>::infinity());
        }
        const auto got = ops::softmax_cross_entropy(
            upload(*device, logits, {2, static_cast<int64_t>(classes)}),
            upload(*device, std::vector<int32_t>{0, 1}, {2}, DType::i32), kIgnored, true);
        CHECK(std::isnan(download(got.loss)[0]));
        const auto gradient = download(*got.gradient);
        for (size_t c = 0; c < classes; ++c) {
          CHECK(std::isnan(gradient[c]));
          CHECK(std::isfinite(gradient[classes + c]));
        }
      }
    }
  }
}

TEST_CASE("softmaxCrossEntropy fails the read for a label outside the classes") {
  for (Device* device : devices()) {
    const Tensor z = upload(*device, random_values(4, 1), {2, 2});
    std::vector<float> values;
    for (const int64_t label : {int64_t{-1}, int64_t{2}}) {
      const Tensor y = upload(*device, std::vector<int64_t>{0, label}, {2}, DType::i64);
      CHECK(download(ops::softmax_cross_entropy(z, y, kIgnored, true).loss, values).code() ==
            ErrorCode::shape);
    }
    const Tensor none(*device, {0, 2}, DType::f32);
    CHECK(
        download(ops::softmax_cross_entropy(none, Tensor(*device, {0}, DType::i64), kIgnored, true)
                     .loss) == std::vector<float>{0});
  }
}

}  // namespace
}  // namespace espalier::test
