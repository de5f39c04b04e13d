#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "binding/ops/attention.h"
#include "test/binding/devices.h"
#include "test/binding/finite_differences.h"
#include "test/binding/ops/attention_reference.h"

namespace espalier::test {
namespace {

using Case = AttentionCase;

struct Problem {
  std::vector<float> q, k, v, gradient;

  explicit Problem(const Case& s)
      : q(attention_input(s, s.query_shape(), 1)),
        k(attention_input(s, s.key_shape(), 2)),
        v(attention_input(s, s.key_shape(), 3)),
        gradient(attention_input(s, s.query_shape(), 4)) {}

  [[nodiscard]] AttentionValues values() const { return {widened(q), widened(k), widened(v)}; }
};

struct Result {
  std::vector<float> q, k, v;
};

Result gradients(Device& device, const Case& s, const Problem& p, double scale) {
  const Tensor q = upload(device, p.q, s.query_shape());
  const Tensor k = upload(device, p.k, s.key_shape());
  const Tensor v = upload(device, p.v, s.key_shape());
  auto options = s.options(device, scale);
  options.want_log_sum_exp = true;
  const auto forward = ops::attention(q, k, v, options);
  const auto result = ops::attention_backward(upload(device, p.gradient, s.query_shape()), q, k, v,
                                              forward, options);
  return {download(result.q), download(result.k), download(result.v)};
}

void check_case(const Case& any) {
  CAPTURE(described(any));
  for (const Case& s : in_both_precisions(any)) {
    CAPTURE(s.products);
    const Problem p(s);
    const auto expected = attention_gradients(s, p.values(), p.gradient, s.scale());
    for (Device* device : devices()) {
      const auto got = gradients(*device, s, p, s.scale());
      const double tolerance = attention_tolerance(*device, s, 1e-10, 3e-5);
      CHECK(normalised_error(got.q, expected.q) < tolerance);
      CHECK(normalised_error(got.k, expected.k) < tolerance);
      CHECK(normalised_error(got.v, expected.v) < tolerance);
    }
  }
}

TEST_CASE("gradients of attention equal finite differences") {
  std::vector<uint8_t> mask(2 * 6, 1);
  mask[1] = mask[5] = mask[8] = 0;
  for (const Case& s : {Case{1, 5, 5, 2, 1, 3}, Case{1, 3, 6, 4, 2, 5, true, 2},
                        Case{2, 4, 6, 2, 2, 4, false, 0, mask}, Case{1, 6, 3, 1, 1, 2},
                        Case{1, 1, 1, 8, 1, 7}, Case{2, 6, 6, 2, 1, 2, true, 0, mask}}) {
    const Problem p(s);
    const auto in = p.values();
    const auto loss = [&](const AttentionValues& at) {
      return dot(attention_reference(s, at, 0.8), p.gradient);
    };
    const auto dq = finite_differences(in.q, [&](const auto& x) { return loss({x, in.k, in.v}); });
    const auto dk = finite_differences(in.k, [&](const auto& x) { return loss({in.q, x, in.v}); });
    const auto dv = finite_differences(in.v, [&](const auto& x) { return loss({in.q, in.k, x}); });
    const auto formula = attention_gradients(s, in, p.gradient, 0.8);
    CHECK(normalised_error(formula.q, dq) < 1e-12);
    CHECK(normalised_error(formula.k, dk) < 1e-12);
    for (Device* device : devices()) {
      const auto got = gradients(*device, s, p, 0.8);
      CHECK(normalised_error(got.q, dq) < 1e-10);
      CHECK(normalised_error(got.k, dk) < 1e-10);
      CHECK(normalised_error(got.v, dv) < 1e-10);
    }
  }
}

TEST_CASE("gradients of attention are right for any head size") {
  for (const int64_t columns :
       {1, 2, 3, 7, 8, 16, 17, 21, 32, 33, 49, 64, 96, 100, 128, 200, 256}) {
    check_case({1, 70, 70, 2, 1, columns});
  }
}

TEST_CASE("gradients of attention are right for any number of queries and keys") {
  for (const int64_t queries : {1, 2, 15, 16, 17, 33, 63, 64, 65, 130, 200}) {
    check_case({2, queries, queries, 1, 1, 8});
    check_case({1, queries, queries + 37, 3, 3, 9});
    check_case({1, queries, 66, 2, 2, 8, false});
  }
}

TEST_CASE("gradients of attention meet where query heads share a key head") {
  for (const int64_t group : {1, 2, 3, 7, 8}) check_case({2, 33, 40, 2 * group, 2, 12});
}

TEST_CASE("gradients of attention within a sliding window reach its keys only") {
  for (const int64_t window : {1, 2, 5, 16, 64, 65, 199, 1000}) {
    check_case({1, 200, 200, 2, 1, 8, true, window});
    check_case({1, 40, 150, 4, 2, 8, true, window});
    check_case({1, 150, 150, 1, 1, 8, false, window});
  }
}

TEST_CASE("gradients of attention are right however many problems the threads share") {
  for (const int64_t heads : {1, 2, 3, 5, 8, 9}) check_case({1, 260, 260, heads, heads, 4});
}

TEST_CASE("masked keys get zero gradients and give nothing away, whatever they hold") {
  for (const int64_t keys : {9, 70, 140}) {
    for (const bool causal : {false, true}) {
      std::vector<uint8_t> mask;
      for (int64_t j = 0; j < 3 * keys; ++j)
        mask.push_back(j < keys - 3 || (j > keys && j % 3 != 0));
      std::fill(mask.end() - keys, mask.end(), uint8_t{0});
      const Case any{3, keys, keys, 2, 1, 8, causal, 0, mask};
      check_case(any);
      for (const Case& s : in_both_precisions(any)) {
        const Problem clean(s);
        Problem p = clean;
        for (size_t i = 0; i < p.k.size(); ++i) {
          if (mask[i / 8] == 0) p.k[i] = p.v[i] = std::nanf("");
        }
        for (Device* device : devices()) {
          const auto got = gradients(*device, s, p, 0.3);
          const auto expected = gradients(*device, s, clean, 0.3);
          CHECK(got.q == expected.q);
          CHECK(got.k == expected.k);
          CHECK(got.v == expected.v);
          for (size_t i = 0; i < got.k.size(); ++i) {
            if (mask[i / 8] == 0) CHECK((got.k[i] == 0 && got.v[i] == 0));
          }
        }
      }
    }
  }
}

TEST_CASE("queries that see nothing get and give zeros") {
  const Case s{1, 100, 30, 2, 2, 8};
  check_case(s);
  const auto got = gradients(*devices().front(), s, Problem(s), s.scale());
  CHECK(std::all_of(got.q.begin(), got.q.begin() + 70 * 16, [](float x) { return x == 0; }));
  check_case({1, 3, 0, 1, 1, 4});
}

TEST_CASE("gradients of attention survive scores far beyond what exp can hold") {
  for (const Case& s : in_both_precisions({1, 40, 40, 1, 1, 16})) {
    Problem p(s);
    // A power of two keeps bf16 numbers what they are.
    for (float& x : p.q) x *= 64;
    for (float& x : p.k) x *= 64;
    const auto expected = attention_gradients(s, p.values(), p.gradient, 1);
    for (Device* device : devices()) {
      const auto got = gradients(*device, s, p, 1);
      CHECK(normalised_error(got.v, expected.v) < 1e-5);
      CHECK(std::all_of(got.q.begin(), got.q.end(), [](float x) { return std::isfinite(x); }));
    }
  }
}

TEST_CASE("gradients of attention are the same bits every time") {
  for (const Case& s : in_both_precisions({2, 150, 150, 6, 3, 20})) {
    const Problem p(s);
    for (Device* device : devices()) {
      const auto first = gradients(*device, s, p, 0.3);
      const auto second = gradients(*device, s, p, 0.3);
      CHECK(first.q == second.q);
      CHECK(first.k == second.k);
      CHECK(first.v == second.v);
    }
  }
}

TEST_CASE("gradients of attention take empty tensors") {
  check_case({0, 3, 3, 2, 1, 4});
  check_case({1, 0, 3, 2, 1, 4});
  check_case({1, 3, 3, 2, 1, 0});
  check_case({1, 3, 3, 0, 1, 4});
}

TEST_CASE("gradients of attention name the argument that does not fit") {
  Device& device = *devices().front();
  const auto tensor = [&](const Shape& shape) { return Tensor(device, shape, DType::f32); };
  const Tensor q = tensor({1, 5, 4, 8});
  const Tensor k = tensor({1, 6, 2, 8});
  const Tensor sum = tensor({1, 5, 4});
  CHECK_THROWS_WITH_AS(ops::attention_backward(k, q, k, k, {q, sum}, {}),
                       "gradient: expected [1, 5, 4, 8], got [1, 6, 2, 8]", Error);
  CHECK_THROWS_AS(ops::attention_backward(q, q, k, k, {k, sum}, {}), Error);
  CHECK_THROWS_AS(ops::attention_backward(q, q, k, k, {q, q}, {}), Error);
  CHECK_THROWS_AS(ops::attention_backward(q, q, k, k, {q, std::nullopt}, {}), Error);
}

}  // namespace
}  // namespace espalier::test
