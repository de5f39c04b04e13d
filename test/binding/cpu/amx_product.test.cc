#include "binding/cpu/amx_product.h"

#include <doctest/doctest.h>
#include <omp.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "test/binding/devices.h"

namespace espalier::test {
namespace {

using Bits = std::vector<uint16_t>;

Bits random_bits(int64_t count, uint32_t seed) {
  Bits bits;
  for (const float value : random_values(static_cast<size_t>(count), seed)) {
    bits.push_back(bf16_from_float(value));
  }
  return bits;
}

// A product of matrices whose rows are longer than needed.
struct Problem {
  int64_t m, n, k;
  bool transpose_a = false;
  bool transpose_b = false;
  bool accumulate = false;
  Bits a = {};
  Bits b = {};

  [[nodiscard]] int64_t lda() const { return (transpose_a ? m : k) + 3; }
  [[nodiscard]] int64_t ldb() const { return (transpose_b ? k : n) + 5; }
  [[nodiscard]] int64_t ldc() const { return n + 1; }
  void fill() {
    a = random_bits((transpose_a ? k : m) * lda(), 1);
    b = random_bits((transpose_b ? n : k) * ldb(), 2);
  }
  [[nodiscard]] size_t place_a(int64_t i, int64_t l) const {
    return static_cast<size_t>(transpose_a ? l * lda() + i : i * lda() + l);
  }
  [[nodiscard]] size_t place_b(int64_t l, int64_t j) const {
    return static_cast<size_t>(transpose_b ? j * ldb() + l : l * ldb() + j);
  }
  // Rows of ldc(), which hold `before` wherever the product does not write.
  [[nodiscard]] std::vector<float> product(float before) const {
    std::vector<float> c(static_cast<size_t>(m * ldc()), before);
    const Status status = cpu::amx_product({.transpose_a = transpose_a,
                                            .transpose_b = transpose_b,
                                            .m = m,
                                            .n = n,
                                            .k = k,
                                            .a = a.data(),
                                            .lda = lda(),
                                            .b = b.data(),
                                            .ldb = ldb(),
                                            .c = c.data(),
                                            .ldc = ldc(),
                                            .accumulate = accumulate});
    CHECK(status.ok());
    return c;
  }
  [[nodiscard]] std::vector<double> reference(double before) const {
    std::vector<double> c(static_cast<size_t>(m * ldc()), before);
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        double sum = accumulate ? before : 0;
        for (int64_t l = 0; l < k; ++l) {
          sum += static_cast<double>(float_from_bf16(a[place_a(i, l)])) *
                 float_from_bf16(b[place_b(l, j)]);
        }
        c[static_cast<size_t>(i * ldc() + j)] = sum;
      }
    }
    return c;
  }
};

const auto kWithoutAmx = doctest::skip(!cpu::has_amx_bf16());

TEST_CASE("products in AMX tiles are those in double precision, whatever their edges" *
          kWithoutAmx) {
  for (Problem p : {Problem{1, 1, 1}, Problem{17, 33, 31}, Problem{32, 16, 32},
                    Problem{70, 45, 513}, Problem{395, 21, 66}, Problem{12, 900, 40}}) {
    for (const int turn : {0, 1, 2, 3, 4, 7}) {
      p.transpose_a = (turn & 1) != 0;
      p.transpose_b = (turn & 2) != 0;
      p.accumulate = (turn & 4) != 0;
      CAPTURE(p.m);
      CAPTURE(turn);
      p.fill();
      const auto got = p.product(0.5F);
      CHECK(normalised_error(got, p.reference(0.5)) < 1e-12);
      for (int64_t i = 0; i < p.m; ++i)
        CHECK(got[static_cast<size_t>((i + 1) * p.ldc() - 1)] == 0.5F);
    }
  }
}

TEST_CASE("products in AMX tiles have the same bits for every number of threads" * kWithoutAmx) {
  Problem p{450, 800, 700};
  p.transpose_b = true;
  p.fill();
  const int before = omp_get_max_threads();
  std::vector<std::vector<float>> results;
  for (const int threads : {1, 2, 5}) {
    omp_set_num_threads(threads);
    results.push_back(p.product(0));
  }
  omp_set_num_threads(before);
  CHECK(results[1] == results[0]);
  CHECK(results[2] == results[0]);
}

TEST_CASE("NaN and infinity stay in their rows and columns of products in AMX tiles" *
          kWithoutAmx) {
  Problem p{40, 50, 60};
  p.fill();
  p.a[p.place_a(7, 59)] = bf16_from_float(std::numeric_limits<float>::infinity());
  p.b[p.place_b(3, 41)] = bf16_from_float(std::numeric_limits<float>::quiet_NaN());
  const auto got = p.product(0);
  for (int64_t i = 0; i < p.m; ++i) {
    for (int64_t j = 0; j < p.n; ++j) {
      const float value = got[static_cast<size_t>(i * p.ldc() + j)];
      CHECK(std::isnan(value) == (j == 41));
      CHECK(std::isinf(value) == (i == 7 && j != 41));
    }
  }
}

}  // namespace
}  // namespace espalier::test
