#include "binding/ops/condition_number.h"

#include <doctest/doctest.h>

#include <limits>

#include "test/binding/matrices.h"
#include "test/binding/nvidia_libraries.h"

namespace espalier::test {
namespace {

constexpr ConditionMethod kMethods[] = {ConditionMethod::svd, ConditionMethod::lanczos};

double condition(const Tensor& a, ConditionMethod method) {
  return download<double>(ops::condition_number(a, method)).front();
}

// diag(scales) times a random matrix: graded singular values.
Matrix graded(int64_t m, int64_t n, double decades) {
  Matrix a = random_matrix(m, n, 1);
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      a.at(i, j) *= std::pow(10.0L, decades * static_cast<double>(j) / static_cast<double>(n));
    }
  }
  return a;
}

TEST_CASE("conditionNumber squared is the eigenvalue ratio of aᵀa, wide, tall and square") {
  for (Device* device : factorising_devices()) {
    struct Case {
      int64_t m, n;
    };
    for (const auto& [m, n] :
         {Case{1, 1}, Case{1, 5}, Case{5, 1}, Case{4, 4}, Case{9, 23}, Case{23, 9}, Case{17, 17}}) {
      for (const double decades : {0.0, 2.0}) {
        const Matrix a = graded(m, n, decades);
        const Matrix g = m < n ? product(a, transposed(a)) : product(transposed(a), a);
        const auto values = eigenvalues(g);
        const double expected = static_cast<double>(std::sqrt(values.back() / values.front()));
        for (const ConditionMethod method : kMethods) {
          CHECK(condition(upload(*device, a), method) == doctest::Approx(expected).epsilon(1e-9));
        }
      }
    }
  }
}

TEST_CASE("conditionNumber by Lanczos is a lower bound within 1e-3 of svd") {
  for (Device* device : factorising_devices()) {
    struct Case {
      int64_t m, n;
      double decades;
    };
    for (const auto& [m, n, decades] : {Case{300, 300, 0}, Case{400, 280, 0}, Case{280, 400, 0},
                                        Case{320, 300, 4}, Case{300, 300, 8}}) {
      const Tensor a = upload(*device, graded(m, n, decades));
      const double expected = condition(a, ConditionMethod::svd);
      const double got = condition(a, ConditionMethod::lanczos);
      CHECK(got <= expected * (1 + 1e-15 * expected + 1e-12));
      CHECK(got >= expected * (1 - 1e-3));
    }
  }
}

TEST_CASE("conditionNumber knows identities, extreme scales, singular and empty matrices") {
  for (Device* device : factorising_devices()) {
    for (const ConditionMethod method : kMethods) {
      Matrix identity(6, 6);
      for (int64_t i = 0; i < 6; ++i) identity.at(i, i) = 1;
      CHECK(condition(upload(*device, identity), method) == doctest::Approx(1).epsilon(1e-14));
      for (const double scale : {1e-200, 1e200}) {
        const Matrix a(2, 2, std::vector<double>{3 * scale, 0, 0, scale});
        CHECK(condition(upload(*device, a), method) == doctest::Approx(3).epsilon(1e-14));
      }
      CHECK(std::isinf(condition(upload(*device, Matrix(3, 2)), method)));
      const Matrix singular(2, 2, std::vector<double>{1, 0, 0, 0});
      CHECK(std::isinf(condition(upload(*device, singular), method)));
      CHECK(condition(upload(*device, std::vector<float>{1, 1, 1, 1}, {2, 2}), method) > 1e15);
      CHECK(condition(Tensor(*device, {0, 3}, DType::f32), method) == 1);
    }
  }
}

TEST_CASE("conditionNumber fails the read on NaN and infinity") {
  for (Device* device : factorising_devices()) {
    for (const ConditionMethod method : kMethods) {
      for (const double bad :
           {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
        Matrix a = random_matrix(7, 5, 1);
        a.at(6, 4) = bad;
        CHECK(read_code(ops::condition_number(upload(*device, a), method)) == ErrorCode::numeric);
      }
    }
  }
}

TEST_CASE("conditionNumber names the argument that does not fit") {
  Device& device = *devices().front();
  CHECK_THROWS_WITH_AS(ops::condition_number(Tensor(device, {3}, DType::f64), ConditionMethod::svd),
                       "a: expected 2 dimensions, got [3]", Error);
  const Tensor a(device, {3, 3}, DType::f64);
  CHECK_THROWS_AS(ops::condition_number(a, ConditionMethod::none), Error);
  CHECK_THROWS_AS(ops::condition_number(Tensor(device, {3, 3}, DType::i32), ConditionMethod::svd),
                  Error);
}

}  // namespace
}  // namespace espalier::test
