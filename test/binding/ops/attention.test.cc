#include "binding/ops/attention.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "test/binding/devices.h"
#include "test/binding/finite_differences.h"
#include "test/binding/ops/attention_reference.h"

namespace espalier::test {
namespace {

using Case = AttentionCase;

struct Inputs {
  std::vector<float> q, k, v;

  explicit Inputs(const Case& s, float spread = 1)
      : q(attention_input(s, s.query_shape(), 1, spread)),
        k(attention_input(s, s.key_shape(), 2, spread)),
        v(attention_input(s, s.key_shape(), 3)) {}
};

std::vector<double> reference(const Case& s, const Inputs& in, double scale) {
  return attention_reference(s, {widened(in.q), widened(in.k), widened(in.v)}, scale);
}

ops::AttentionResult attend_with(Device& device, const Case& s, const Inputs& in,
                                 const ops::AttentionOptions& options) {
  return ops::attention(upload(device, in.q, s.query_shape()), upload(device, in.k, s.key_shape()),
                        upload(device, in.v, s.key_shape()), options);
}

Tensor attend(Device& device, const Case& s, const Inputs& in, double scale) {
  return attend_with(device, s, in, s.options(device, scale)).output;
}

void check_case(const Case& any) {
  CAPTURE(described(any));
  for (const Case& s : in_both_precisions(any)) {
    CAPTURE(s.products);
    const Inputs in(s);
    for (Device* device : devices()) {
      CHECK(normalised_error(download(attend(*device, s, in, s.scale())),
                             reference(s, in, s.scale())) <
            attention_tolerance(*device, s, 1e-11, 1e-5));
    }
  }
}

TEST_CASE("attention equals the double-precision formula for any head size") {
  for (const int64_t columns : {1, 2, 3, 7, 8, 16, 21, 32, 64, 100, 128, 256}) {
    check_case({1, 70, 70, 2, 1, columns});
  }
}

TEST_CASE("attention equals the double-precision formula for any number of queries and keys") {
  for (const int64_t queries : {1, 2, 5, 15, 16, 17, 31, 63, 64, 65, 130, 200}) {
    check_case({2, queries, queries, 1, 1, 8});
    check_case({1, queries, queries + 37, 3, 3, 9});
    check_case({1, queries, 66, 2, 2, 8, false});
  }
}

TEST_CASE("attention shares key heads among groups of query heads") {
  for (const int64_t group : {1, 2, 3, 4, 7, 8}) {
    check_case({2, 33, 40, 2 * group, 2, 12});
    check_case({1, 1, 100, 2 * group, 2, 12});
  }
}

TEST_CASE("attention within a sliding window sees only its keys") {
  for (const int64_t window : {1, 2, 5, 16, 63, 64, 65, 199, 1000}) {
    check_case({1, 200, 200, 2, 1, 8, true, window});
    check_case({1, 40, 150, 4, 2, 8, true, window});
    check_case({1, 150, 150, 1, 1, 8, false, window});
  }
}

TEST_CASE("attention to a single key gives its value to the bit") {
  for (const int64_t columns : {1, 16, 80, 256}) {
    for (const Case& s : in_both_precisions({1, 70, 70, 1, 1, columns, true, 1})) {
      const Inputs in(s);
      for (Device* device : devices()) CHECK(download(attend(*device, s, in, 0.3)) == in.v);
    }
  }
}

TEST_CASE("attention is the same bits every time") {
  for (const Case& s : in_both_precisions({2, 150, 150, 6, 3, 20})) {
    const Inputs in(s);
    for (Device* device : devices()) {
      CHECK(download(attend(*device, s, in, 0.3)) == download(attend(*device, s, in, 0.3)));
    }
  }
}

TEST_CASE("attention gives zeros to queries before the first key") {
  check_case({1, 100, 30, 2, 2, 8});
  check_case({1, 3, 0, 1, 1, 4});
  const Case s{1, 100, 30, 1, 1, 4};
  const auto y = download(attend(*devices().front(), s, Inputs(s), 0.5));
  CHECK(std::all_of(y.begin(), y.begin() + 70 * 4, [](float value) { return value == 0; }));
  CHECK(y[70 * 4] != 0);
}

TEST_CASE("attention survives scores far beyond what exp can hold") {
  for (const Case& s : in_both_precisions({1, 90, 90, 1, 1, 16})) {
    const Inputs in(s, 60);
    for (Device* device : devices()) {
      const auto y = download(attend(*device, s, in, 1));
      CHECK(normalised_error(y, reference(s, in, 1)) < 1e-5);
    }
  }
}

TEST_CASE("attention keeps keys that a query does not see away from it, even NaN and infinity") {
  const float kBad[] = {std::nanf(""), std::numeric_limits<float>::infinity(),
                        -std::numeric_limits<float>::infinity()};
  for (const Case& any : {Case{1, 40, 40, 1, 1, 8, true, 10}, Case{1, 150, 150, 1, 1, 8, true, 90},
                          Case{1, 150, 150, 1, 1, 8}}) {
    const auto queries = static_cast<size_t>(any.queries);
    const size_t window = any.window == 0 ? queries : static_cast<size_t>(any.window);
    for (const Case& s : in_both_precisions(any)) {
      CAPTURE(s.products);
      const Inputs clean(s);
      for (Device* device : devices()) {
        const auto expected = download(attend(*device, s, clean, 0.3));
        for (const float bad : kBad) {
          Inputs in = clean;
          in.v[20 * 8 + 3] = bad;
          in.k[25 * 8 + 1] = std::nanf("");
          const auto y = download(attend(*device, s, in, 0.3));
          for (size_t i = 0; i < queries; ++i) {
            const bool sees_value = i >= 20 && i < 20 + window;
            const bool sees_key = i >= 25 && i < 25 + window;
            for (size_t c = 0; c < 8; ++c) {
              const float got = y[i * 8 + c];
              CAPTURE(i);
              if (sees_key) {
                CHECK(std::isnan(got));
              } else if (sees_value && c == 3) {
                CHECK(!std::isfinite(got));
              } else {
                CHECK(got == expected[i * 8 + c]);
              }
            }
          }
        }
      }
    }
  }
}

// Padding on the right in the first batch, on the left in the second, in between in the third, and
// nothing but padding in the fourth.
std::vector<uint8_t> padding(int64_t keys) {
  std::vector<uint8_t> mask;
  for (int64_t batch = 0; batch < 4; ++batch) {
    for (int64_t j = 0; j < keys; ++j) {
      const bool real[] = {j < keys - 5, j >= 7, j % 3 != 1, false};
      mask.push_back(real[batch] ? 1 : 0);
    }
  }
  return mask;
}

TEST_CASE("attention leaves masked keys out, whatever they hold, causal or not") {
  for (const bool causal : {false, true}) {
    for (const int64_t keys : {8, 70, 150}) {
      Case s{4, keys, keys, 2, 1, 8, causal, 0, padding(keys)};
      check_case(s);
      s.window = 9;
      check_case(s);
      s.window = 0;
      for (const Case& either : in_both_precisions(s)) {
        Inputs in(either);
        const Inputs clean = in;
        for (size_t i = 0; i < in.k.size(); ++i) {
          if (s.key_mask[i / 8] != 0) continue;
          in.k[i] = std::nanf("");
          in.v[i] = std::numeric_limits<float>::infinity();
        }
        for (Device* device : devices()) {
          CHECK(download(attend(*device, either, in, 1)) ==
                download(attend(*device, either, clean, 1)));
        }
      }
    }
  }
}

TEST_CASE("attention gives the logarithm of the sum of exponentials when asked") {
  for (const Case& any : {Case{2, 33, 70, 4, 2, 12}, Case{1, 9, 5, 1, 1, 3}}) {
    for (const Case& s : in_both_precisions(any)) {
      const Inputs in(s);
      std::vector<double> expected;
      for_each_query(s, {widened(in.q), widened(in.k), widened(in.v)}, 3,
                     [&](size_t, const auto& visible, const auto&, double sum) {
                       const double none = -std::numeric_limits<double>::infinity();
                       expected.push_back(visible.empty() ? none : sum);
                     });
      for (Device* device : devices()) {
        auto options = s.options(*device, 3);
        CHECK(!attend_with(*device, s, in, options).log_sum_exp.has_value());
        options.want_log_sum_exp = true;
        const auto result = attend_with(*device, s, in, options);
        CHECK(normalised_error(download(*result.log_sum_exp), expected) < 1e-12);
      }
    }
  }
}

TEST_CASE("attention takes empty tensors") {
  check_case({0, 3, 3, 2, 1, 4});
  check_case({1, 0, 3, 2, 1, 4});
  check_case({1, 3, 3, 2, 1, 0});
  check_case({1, 3, 3, 0, 1, 4});
}

TEST_CASE("attention says which head sizes a GPU takes") {
  const Case s{1, 3, 3, 1, 1, 257};
  const Inputs in(s);
  std::vector<float> y;
  CHECK(download(attend(cpu::cpu_device(), s, in, 1), y).ok());
  const Status status = download(attend(cuda_device(), s, in, 1), y);
  CHECK(status.code() == ErrorCode::unsupported);
  CHECK(status.message().find("a head size of at most 256, got 257") != std::string::npos);
}

TEST_CASE("attention names the argument that does not fit") {
  Device& device = *devices().front();
  const auto tensor = [&](const Shape& shape) { return Tensor(device, shape, DType::f32); };
  const Tensor q = tensor({1, 5, 4, 8});
  const Tensor k = tensor({1, 6, 2, 8});
  CHECK_THROWS_WITH_AS(ops::attention(q, tensor({1, 6, 3, 8}), k, {}),
                       "k: expected a number of heads that divides q's 4, got [1, 6, 3, 8]", Error);
  CHECK_THROWS_AS(ops::attention(q, tensor({1, 6, 0, 8}), k, {}), Error);
  CHECK_THROWS_AS(ops::attention(q, tensor({2, 6, 2, 8}), k, {}), Error);
  CHECK_THROWS_AS(ops::attention(q, k, tensor({1, 7, 2, 8}), {}), Error);
  CHECK_THROWS_AS(ops::attention(q, k, k, {.scale = std::nan("")}), Error);
  CHECK_THROWS_AS(ops::attention(q, k, k, {.window = -1}), Error);
  ops::AttentionOptions masked;
  masked.key_mask = Tensor(device, {1, 5}, DType::u8);
  CHECK_THROWS_WITH_AS(ops::attention(q, k, k, masked), "keyMask: expected [1, 6], got [1, 5]",
                       Error);
  masked.key_mask = tensor({1, 6});
  CHECK_THROWS_AS(ops::attention(q, k, k, masked), Error);
}

}  // namespace
}  // namespace espalier::test
