#include "binding/ops/leave_one_out.h"

#include <doctest/doctest.h>

#include <limits>

#include "test/binding/matrices.h"

namespace espalier::test {
namespace {

// min over m of ‖A 1 - A m‖² with m_j = 0: the definition, by normal equations.
std::vector<long double> errors_without(const Matrix& a) {
  Matrix ones(a.columns, 1);
  std::fill(ones.values.begin(), ones.values.end(), 1);
  const Matrix y = product(a, ones);
  std::vector<long double> errors;
  for (int64_t j = 0; j < a.columns; ++j) {
    const Matrix kept = without_columns(a, j, 1);
    const Matrix mask = solved(product(transposed(kept), kept), product(transposed(kept), y));
    errors.push_back(squares(sum(y, product(kept, mask), -1)));
  }
  return errors;
}

TEST_CASE(
    "leaveOneOut's residual is the error left after removing a column and re-tuning the rest") {
  for (Device* device : devices()) {
    for (const int64_t n : {2, 3, 17, 24}) {
      const Matrix a = random_matrix(3 * n, n, 1);
      const auto result = ops::leave_one_out(upload(*device, gram_of(a)), 0, ConditionMethod::none);
      CHECK_FALSE(result.condition.has_value());
      CHECK(elementwise_error(download<double>(result.residual), errors_without(a)) < 1e-11);
    }
  }
}

TEST_CASE("leaveOneOut's residual is 1/[(H + λI)⁻¹]_jj at any size, also for rank-deficient H") {
  for (Device* device : devices()) {
    for (const int64_t n : {1, 5, 130, 257}) {
      const Matrix h = gram_of(random_matrix(n / 2 + 1, n, 2));
      Matrix identity(n, n);
      for (int64_t i = 0; i < n; ++i) identity.at(i, i) = 1;
      const Matrix inverse = solved(damped(h, 0.02), identity);
      std::vector<long double> expected;
      for (int64_t i = 0; i < n; ++i) expected.push_back(1 / inverse.at(i, i));
      const auto result = ops::leave_one_out(upload(*device, h), 0.02, ConditionMethod::none);
      CHECK(elementwise_error(download<double>(result.residual), expected) < 1e-11);
    }
  }
}

}  // namespace
}  // namespace espalier::test
