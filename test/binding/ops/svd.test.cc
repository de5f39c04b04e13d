#include "binding/ops/svd.h"

#include <doctest/doctest.h>

#include <limits>

#include "test/binding/matrices.h"
#include "test/binding/nvidia_libraries.h"

namespace espalier::test {
namespace {

TEST_CASE("svd's factors are orthonormal and rebuild the matrix, wide, tall and rank deficient") {
  for (Device* device : factorising_devices()) {
    struct Case {
      int64_t m, n;
    };
    for (const auto& [m, n] : {Case{1, 1}, Case{1, 7}, Case{7, 1}, Case{5, 5}, Case{9, 40},
                               Case{40, 9}, Case{130, 65}}) {
      for (const bool deficient : {false, true}) {
        const Matrix a = deficient ? product(random_matrix(m, 1, 1), random_matrix(1, n, 2))
                                   : random_matrix(m, n, 3);
        const auto result = ops::svd(upload(*device, a), true);
        const int64_t k = std::min(m, n);
        const Matrix u(m, k, download<double>(*result.u));
        const Matrix vt(k, n, download<double>(*result.vt));
        const auto s = download<double>(result.s);
        CHECK(std::is_sorted(s.rbegin(), s.rend()));
        CHECK(s.back() >= 0);
        Matrix scaled = u;
        for (int64_t i = 0; i < m; ++i) {
          for (int64_t j = 0; j < k; ++j) scaled.at(i, j) *= s[static_cast<size_t>(j)];
        }
        CHECK(relative_error(product(scaled, vt).doubles(), a.values) < 1e-13);
        Matrix identity(k, k);
        for (int64_t i = 0; i < k; ++i) identity.at(i, i) = 1;
        CHECK(relative_error(product(transposed(u), u).doubles(), identity.values) < 1e-13);
        CHECK(relative_error(product(vt, transposed(vt)).doubles(), identity.values) < 1e-13);
        const auto values_only = ops::svd(upload(*device, a), false);
        CHECK_FALSE(values_only.u.has_value());
        CHECK_FALSE(values_only.vt.has_value());
        const std::vector<long double> expected(s.begin(), s.end());
        CHECK(relative_error(download<double>(values_only.s), expected) < 1e-14);
      }
    }
  }
}

TEST_CASE("svd's squared values are the eigenvalues of aᵀa") {
  for (Device* device : factorising_devices()) {
    const Matrix a = random_matrix(31, 12, 4);
    auto s = download<double>(ops::svd(upload(*device, a.floats(), {31, 12}), false).s);
    std::ranges::reverse(s);
    for (double& value : s) value *= value;
    CHECK(relative_error(s, eigenvalues(product(transposed(a), a))) < 1e-13);
  }
}

TEST_CASE("svd fails the read on NaN and infinity, and takes empty matrices") {
  for (Device* device : factorising_devices()) {
    for (const double bad :
         {std::numeric_limits<double>::quiet_NaN(), -std::numeric_limits<double>::infinity()}) {
      Matrix a = random_matrix(6, 4, 5);
      a.at(5, 3) = bad;
      const auto result = ops::svd(upload(*device, a), true);
      CHECK(read_code(*result.u) == ErrorCode::numeric);
      CHECK(read_code(result.s) == ErrorCode::numeric);
      CHECK(read_code(*result.vt) == ErrorCode::numeric);
    }
    const auto empty = ops::svd(Tensor(*device, {3, 0}, DType::f64), true);
    CHECK(empty.u->shape() == Shape{3, 0});
    CHECK(download<double>(empty.s).empty());
    CHECK(download<double>(*empty.vt).empty());
  }
}

TEST_CASE("svd names the argument that does not fit") {
  Device& device = *devices().front();
  CHECK_THROWS_WITH_AS(ops::svd(Tensor(device, {3}, DType::f64), true),
                       "a: expected 2 dimensions, got [3]", Error);
  CHECK_THROWS_AS(ops::svd(Tensor(device, {3, 3}, DType::i32), true), Error);
  CHECK_THROWS_AS(ops::svd(Tensor(device, {40000, 40000}, DType::f32), false), Error);
}

}  // namespace
}  // namespace espalier::test
