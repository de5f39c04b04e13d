#include "binding/ops/attention.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "test/binding/devices.h"

namespace espalier::test {
namespace {

struct Case {
  int64_t batches, queries, keys, heads, key_heads, columns;
  bool causal = true;
  int64_t window = 0;
};

std::vector<double> reference(const Case& s, const std::vector<float>& q,
                              const std::vector<float>& k, const std::vector<float>& v,
                              double scale) {
  std::vector<double> output(q.size());
  const int64_t group = s.heads / s.key_heads;
  for (int64_t b = 0; b < s.batches; ++b) {
    for (int64_t i = 0; i < s.queries; ++i) {
      for (int64_t h = 0; h < s.heads; ++h) {
        const size_t at = static_cast<size_t>(((b * s.queries + i) * s.heads + h) * s.columns);
        const auto key_at = [&](int64_t j) {
          return static_cast<size_t>(((b * s.keys + j) * s.key_heads + h / group) * s.columns);
        };
        std::vector<int64_t> visible;
        for (int64_t j = 0; j < s.keys; ++j) {
          const int64_t last = i + s.keys - s.queries;
          if (s.causal && j > last) continue;
          if (s.window > 0 && j <= last - s.window) continue;
          visible.push_back(j);
        }
        std::vector<double> scores;
        double maximum = -std::numeric_limits<double>::infinity();
        for (const int64_t j : visible) {
          double score = 0;
          for (size_t c = 0; c < static_cast<size_t>(s.columns); ++c) {
            score += static_cast<double>(q[at + c]) * static_cast<double>(k[key_at(j) + c]);
          }
          scores.push_back(score * scale);
          maximum = std::max(maximum, scores.back());
        }
        double sum = 0;
        for (double& score : scores) sum += score = std::exp(score - maximum);
        for (size_t n = 0; n < visible.size(); ++n) {
          for (size_t c = 0; c < static_cast<size_t>(s.columns); ++c) {
            output[at + c] += scores[n] / sum * static_cast<double>(v[key_at(visible[n]) + c]);
          }
        }
      }
    }
  }
  return output;
}

struct Inputs {
  std::vector<float> q, k, v;

  explicit Inputs(const Case& s, float spread = 1)
      : q(random_values(static_cast<size_t>(s.batches * s.queries * s.heads * s.columns), 1,
                        spread)),
        k(random_values(static_cast<size_t>(s.batches * s.keys * s.key_heads * s.columns), 2,
                        spread)),
        v(random_values(k.size(), 3)) {}
};

Tensor attend(Device& device, const Case& s, const Inputs& in, double scale) {
  const Shape keys{s.batches, s.keys, s.key_heads, s.columns};
  return ops::attention(upload(device, in.q, {s.batches, s.queries, s.heads, s.columns}),
                        upload(device, in.k, keys), upload(device, in.v, keys), scale, s.causal,
                        s.window);
}

void check_case(const Case& s) {
  CAPTURE(s.queries);
  CAPTURE(s.keys);
  CAPTURE(s.heads);
  CAPTURE(s.columns);
  CAPTURE(s.window);
  const Inputs in(s);
  const double scale = 1 / std::sqrt(static_cast<double>(std::max<int64_t>(s.columns, 1)));
  for (Device* device : devices()) {
    CHECK(normalised_error(download(attend(*device, s, in, scale)),
                           reference(s, in.q, in.k, in.v, scale)) < 1e-11);
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

TEST_CASE("attention gives zeros to queries before the first key") {
  check_case({1, 100, 30, 2, 2, 8});
  check_case({1, 3, 0, 1, 1, 4});
  const Case s{1, 100, 30, 1, 1, 4};
  const auto y = download(attend(*devices().front(), s, Inputs(s), 0.5));
  CHECK(std::all_of(y.begin(), y.begin() + 70 * 4, [](float value) { return value == 0; }));
  CHECK(y[70 * 4] != 0);
}

TEST_CASE("attention survives scores far beyond what exp can hold") {
  const Case s{1, 90, 90, 1, 1, 16};
  const Inputs in(s, 60);
  for (Device* device : devices()) {
    const auto y = download(attend(*device, s, in, 1));
    CHECK(normalised_error(y, reference(s, in.q, in.k, in.v, 1)) < 1e-5);
  }
}

TEST_CASE("attention keeps keys that a query does not see away from it, even NaN and infinity") {
  const Case s{1, 40, 40, 1, 1, 8, true, 10};
  const Inputs clean(s);
  const float kBad[] = {std::nanf(""), std::numeric_limits<float>::infinity()};
  for (Device* device : devices()) {
    const auto expected = download(attend(*device, s, clean, 0.3));
    for (const float bad : kBad) {
      Inputs in = clean;
      in.v[20 * 8 + 3] = bad;
      in.k[25 * 8 + 1] = std::nanf("");
      const auto y = download(attend(*device, s, in, 0.3));
      for (size_t i = 0; i < 40; ++i) {
        const bool sees_value = i >= 20 && i < 30;
        const bool sees_key = i >= 25 && i < 35;
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

TEST_CASE("attention takes empty tensors") {
  check_case({0, 3, 3, 2, 1, 4});
  check_case({1, 0, 3, 2, 1, 4});
  check_case({1, 3, 3, 2, 1, 0});
  check_case({1, 3, 3, 0, 1, 4});
}

TEST_CASE("attention names the argument that does not fit") {
  Device& device = *devices().front();
  const auto tensor = [&](const Shape& shape) { return Tensor(device, shape, DType::f32); };
  const Tensor q = tensor({1, 5, 4, 8});
  const Tensor k = tensor({1, 6, 2, 8});
  CHECK_THROWS_WITH_AS(ops::attention(q, tensor({1, 6, 3, 8}), k, 1, true, 0),
                       "k: expected a number of heads that divides q's 4, got [1, 6, 3, 8]", Error);
  CHECK_THROWS_AS(ops::attention(q, tensor({1, 6, 0, 8}), k, 1, true, 0), Error);
  CHECK_THROWS_AS(ops::attention(q, tensor({2, 6, 2, 8}), k, 1, true, 0), Error);
  CHECK_THROWS_AS(ops::attention(q, k, tensor({1, 7, 2, 8}), 1, true, 0), Error);
  CHECK_THROWS_AS(ops::attention(q, k, k, std::nan(""), true, 0), Error);
  CHECK_THROWS_AS(ops::attention(q, k, k, 1, true, -1), Error);
}

}  // namespace
}  // namespace espalier::test
