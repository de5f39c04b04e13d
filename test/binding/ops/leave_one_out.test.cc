#include "binding/ops/leave_one_out.h"

#include <doctest/doctest.h>

#include <limits>

#include "test/binding/matrices.h"
#include "test/binding/nvidia_libraries.h"

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
  for (Device* device : factorising_devices()) {
    for (const int64_t n : {2, 3, 17, 24}) {
      const Matrix a = random_matrix(3 * n, n, 1);
      const auto result = ops::leave_one_out(upload(*device, gram_of(a)), 0, ConditionMethod::none);
      CHECK_FALSE(result.condition.has_value());
      CHECK(elementwise_error(download<double>(result.residual), errors_without(a)) < 1e-11);
    }
  }
}

TEST_CASE("leaveOneOut's residual is 1/[(H + λI)⁻¹]_jj at any size, also for rank-deficient H") {
  for (Device* device : factorising_devices()) {
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

// cond of each minor from its eigenvalues in extended precision.
std::vector<long double> minor_conditions(const Matrix& h) {
  std::vector<long double> conditions;
  for (int64_t j = 0; j < h.rows; ++j) {
    const auto values = eigenvalues(minor_of(h, j));
    conditions.push_back(values.back() / values.front());
  }
  return conditions;
}

// A random orthogonal matrix: modified Gram-Schmidt, twice, on rows.
Matrix random_orthogonal(int64_t n) {
  Matrix q = random_matrix(n, n, static_cast<uint32_t>(n));
  for (int64_t j = 0; j < n; ++j) {
    long double* row = &q.at(j, 0);
    for (int pass = 0; pass < 2; ++pass) {
      for (int64_t k = 0; k < j; ++k) {
        const long double* other = &q.at(k, 0);
        long double dot = 0;
        for (int64_t i = 0; i < n; ++i) dot += row[i] * other[i];
        for (int64_t i = 0; i < n; ++i) row[i] -= dot * other[i];
      }
      long double norm = 0;
      for (int64_t i = 0; i < n; ++i) norm += row[i] * row[i];
      for (int64_t i = 0; i < n; ++i) row[i] /= std::sqrt(norm);
    }
  }
  return q;
}

// q diag(values) qᵀ, rounded to double.
Matrix with_spectrum(const Matrix& q, const std::vector<long double>& values) {
  const int64_t n = q.rows;
  Matrix scaled = q;
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) scaled.at(i, j) *= values[static_cast<size_t>(j)];
  }
  Matrix h(n, n);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      long double total = 0;
      for (int64_t k = 0; k < n; ++k) total += scaled.at(i, k) * q.at(j, k);
      h.at(i, j) = h.at(j, i) = static_cast<double>(total);
    }
  }
  return h;
}

TEST_CASE("leaveOneOut's conditions equal those of every minor, over many spectra") {
  for (Device* device : factorising_devices()) {
    for (const int64_t n : {2, 3, 7, 16, 17, 24}) {
      const Matrix q = random_orthogonal(n);
      std::vector<std::vector<long double>> spectra(5);
      for (int64_t i = 0; i < n; ++i) {
        const long double x = static_cast<long double>(i) / static_cast<long double>(n - 1);
        spectra[0].push_back(1 + x);                                     // even
        spectra[1].push_back(std::pow(10.0L, 8 * x));                    // graded
        spectra[2].push_back(i < n / 2 ? 1 : 5 + 1e-9L * x);             // clustered
        spectra[3].push_back(i == 0 ? 1e-6L : (i + 1 == n ? 1e6L : 1));  // both ends alone
        spectra[4].push_back(3);                                         // a multiple of I
      }
      for (const auto& spectrum : spectra) {
        const Matrix h = with_spectrum(q, spectrum);
        for (const double damping : {0.0, 0.01}) {
          const auto result = ops::leave_one_out(upload(*device, h), damping, ConditionMethod::svd);
          const Matrix shifted = damped(h, damping);
          const auto values = eigenvalues(shifted);
          // What rounding to eps ‖H‖ can do to the smallest eigenvalue.
          const double tolerance = 1e-14 * static_cast<double>(n) *
                                   (10 + static_cast<double>(values.back() / values.front()));
          CHECK(elementwise_error(download<double>(*result.condition), minor_conditions(shifted)) <
                tolerance);
          const auto by_cholesky =
              ops::leave_one_out(upload(*device, h), damping, ConditionMethod::none);
          const auto residual = download<double>(by_cholesky.residual);
          CHECK(elementwise_error(download<double>(result.residual),
                                  {residual.begin(), residual.end()}) < tolerance);
        }
      }
    }
  }
}

TEST_CASE("leaveOneOut's conditions are right where eigenvectors have zeros and values repeat") {
  for (Device* device : factorising_devices()) {
    Matrix diagonal(6, 6);
    const std::vector<double> entries{4, 9, 1, 9, 2, 1};
    for (int64_t i = 0; i < 6; ++i) diagonal.at(i, i) = entries[static_cast<size_t>(i)];
    // Two decoupled blocks: each eigenvector vanishes on one of them.
    Matrix blocks(9, 9);
    const Matrix first = gram_of(random_matrix(9, 4, 1));
    const Matrix second = gram_of(random_matrix(9, 5, 2));
    for (int64_t i = 0; i < 9; ++i) {
      for (int64_t j = 0; j < 9; ++j) {
        if (i < 4 && j < 4) blocks.at(i, j) = first.at(i, j);
        if (i >= 4 && j >= 4) blocks.at(i, j) = 1e3 * second.at(i - 4, j - 4);
      }
    }
    Matrix single = diagonal;
    single.at(1, 1) = 100;  // removing it takes the whole top away
    for (const Matrix& h : {diagonal, blocks, single}) {
      const auto result = ops::leave_one_out(upload(*device, h), 0, ConditionMethod::svd);
      CHECK(elementwise_error(download<double>(*result.condition), minor_conditions(h)) < 1e-10);
    }
  }
}

TEST_CASE(
    "leaveOneOut by Lanczos is within 1e-3 of the exact conditions, and to rounding when small") {
  for (Device* device : factorising_devices()) {
    for (const int64_t n : {2, 3, 60, 280}) {
      const Matrix q = random_orthogonal(n);
      std::vector<std::vector<long double>> spectra(7);
      for (int64_t i = 0; i < n; ++i) {
        const long double x = static_cast<long double>(i) / static_cast<long double>(n - 1);
        spectra[0].push_back(1 + x);                              // even, both ends dense
        spectra[1].push_back(1e-5L + x);                          // even down to nearly 0
        spectra[2].push_back(std::pow(10.0L, 8 * x));             // graded
        spectra[3].push_back(i < n / 2 ? 1 : 5 + 1e-9L * x);      // clustered
        spectra[4].push_back(std::pow(1 - 0.9L * x, 2));          // random-matrix edge
        spectra[5].push_back(0.01L + (2 * i < n ? 0 : 10 * x));   // damped, half the rank
        spectra[6].push_back(std::pow(i + 1.0L, -1.5L) + 1e-4L);  // power law
      }
      if (n > 100 && is_slow(*device)) spectra = {spectra[1], spectra[6]};
      for (const auto& spectrum : spectra) {
        const Tensor h = upload(*device, with_spectrum(q, spectrum));
        const auto exact = ops::leave_one_out(h, 0, ConditionMethod::svd);
        const auto lanczos = ops::leave_one_out(h, 0, ConditionMethod::lanczos);
        const auto condition = download<double>(*exact.condition);
        const auto residual = download<double>(exact.residual);
        CHECK(elementwise_error(download<double>(*lanczos.condition),
                                {condition.begin(), condition.end()}) < (n > 100 ? 1e-3 : 1e-7));
        CHECK(elementwise_error(download<double>(lanczos.residual),
                                {residual.begin(), residual.end()}) < 1e-7);
      }
    }
  }
}

TEST_CASE("leaveOneOut on a singular matrix: infinity, but not where the removal cures it") {
  for (Device* device : factorising_devices()) {
    Matrix a = random_matrix(20, 5, 3);
    for (int64_t i = 0; i < 20; ++i) a.at(i, 4) = a.at(i, 1);  // columns 1 and 4 are equal
    const Matrix h = gram_of(a);
    const auto result = ops::leave_one_out(upload(*device, h), 0, ConditionMethod::svd);
    const auto condition = download<double>(*result.condition);
    const auto residual = download<double>(result.residual);
    for (const size_t j : {0, 2, 3}) {
      CHECK(std::isinf(condition[j]));
      CHECK(residual[j] > 1);
    }
    for (const size_t j : {1, 4}) {
      const auto values = eigenvalues(minor_of(h, static_cast<int64_t>(j)));
      CHECK(condition[j] ==
            doctest::Approx(static_cast<double>(values.back() / values.front())).epsilon(1e-10));
      CHECK(residual[j] == 0);
    }
    const auto zero = ops::leave_one_out(upload(*device, Matrix(3, 3)), 0, ConditionMethod::svd);
    CHECK(std::isinf(download<double>(*zero.condition)[0]));
    CHECK(download<double>(zero.residual) == std::vector<double>(3, 0.0));
  }
}

TEST_CASE("leaveOneOut of one column leaves nothing: condition 1; of none, nothing at all") {
  for (Device* device : factorising_devices()) {
    for (const auto method : {ConditionMethod::svd, ConditionMethod::lanczos}) {
      const Matrix h(1, 1, std::vector<double>{4});
      const auto one = ops::leave_one_out(upload(*device, h), 0.5, method);
      CHECK(download<double>(*one.condition) == std::vector<double>{1});
      CHECK(download<double>(one.residual)[0] == doctest::Approx(6));
      const auto none = ops::leave_one_out(Tensor(*device, {0, 0}, DType::f32), 0.5, method);
      CHECK(download<double>(*none.condition).empty());
      CHECK(download<double>(none.residual).empty());
    }
  }
}

TEST_CASE("leaveOneOut fails the read on NaN, infinity and a matrix that is not semi-definite") {
  for (Device* device : factorising_devices()) {
    for (const auto method :
         {ConditionMethod::none, ConditionMethod::svd, ConditionMethod::lanczos}) {
      for (const double bad :
           {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
        Matrix h = gram_of(random_matrix(9, 5, 1));
        h.at(4, 2) = bad;
        const auto result = ops::leave_one_out(upload(*device, h), 0.1, method);
        CHECK(read_code(result.residual) == ErrorCode::numeric);
        if (result.condition) CHECK(read_code(*result.condition) == ErrorCode::numeric);
      }
      const Matrix indefinite(2, 2, std::vector<double>{1, 2, 2, 1});
      CHECK(read_code(ops::leave_one_out(upload(*device, indefinite), 0, method).residual) ==
            ErrorCode::numeric);
    }
  }
}

TEST_CASE("leaveOneOut gives the same bits each time") {
  for (Device* device : factorising_devices()) {
    const Tensor h = upload(*device, gram_of(random_matrix(150, 131, 4)));
    for (const auto method :
         {ConditionMethod::none, ConditionMethod::svd, ConditionMethod::lanczos}) {
      const auto first = ops::leave_one_out(h, 0.01, method);
      const auto second = ops::leave_one_out(h, 0.01, method);
      CHECK(download<double>(first.residual) == download<double>(second.residual));
      if (first.condition) {
        CHECK(download<double>(*first.condition) == download<double>(*second.condition));
      }
    }
  }
}

TEST_CASE("leaveOneOut names the argument that does not fit") {
  Device& device = *devices().front();
  const Tensor h(device, {3, 4}, DType::f64);
  CHECK_THROWS_WITH_AS(ops::leave_one_out(h, 0, ConditionMethod::none),
                       "h: expected a square matrix, got [3, 4]", Error);
  const Tensor square(device, {3, 3}, DType::f64);
  CHECK_THROWS_AS(ops::leave_one_out(square, -1, ConditionMethod::none), Error);
  CHECK_THROWS_AS(
      ops::leave_one_out(Tensor(device, {40000, 40000}, DType::f32), 0, ConditionMethod::svd),
      Error);
}

}  // namespace
}  // namespace espalier::test
