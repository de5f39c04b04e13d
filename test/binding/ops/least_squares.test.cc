#include "binding/ops/least_squares.h"

#include <doctest/doctest.h>

#include <limits>

#include "test/binding/matrices.h"
#include "test/binding/nvidia_libraries.h"

namespace espalier::test {
namespace {

TEST_CASE("leastSquares solves the normal equations of a tall system") {
  for (Device* device : factorising_devices()) {
    struct Case {
      int64_t m, n, k;
    };
    for (const auto& [m, n, k] : {Case{1, 1, 1}, Case{5, 2, 3}, Case{40, 17, 1}, Case{70, 65, 4}}) {
      const Matrix a = random_matrix(m, n, 1);
      const Matrix b = random_matrix(m, k, 2);
      const Tensor x = ops::least_squares(upload(*device, a), upload(*device, b));
      CHECK(x.shape() == Shape{n, k});
      const Matrix expected = solved(product(transposed(a), a), product(transposed(a), b));
      CHECK(relative_error(download<double>(x), expected.values) < 1e-10);
    }
  }
}

TEST_CASE("leastSquares gives the solution of least norm when rank deficient or wide") {
  for (Device* device : factorising_devices()) {
    // a = p q of rank 2: x = qᵀ (q qᵀ)⁻¹ (pᵀ p)⁻¹ pᵀ b.
    for (const int64_t n : {3, 9, 30}) {
      const Matrix p = random_matrix(12, 2, 3);
      const Matrix q = random_matrix(2, n, 4);
      const Matrix b = random_matrix(12, 2, 5);
      const Matrix inner = solved(product(transposed(p), p), product(transposed(p), b));
      const Matrix expected = product(transposed(q), solved(product(q, transposed(q)), inner));
      const Tensor x = ops::least_squares(upload(*device, product(p, q)), upload(*device, b));
      CHECK(relative_error(download<double>(x), expected.values) < 1e-11);
    }
  }
}

TEST_CASE("leastSquares takes f32, vectors, zero and empty matrices") {
  for (Device* device : factorising_devices()) {
    const Tensor x = ops::least_squares(upload(*device, std::vector<float>{1, 1, 1}, {3, 1}),
                                        upload(*device, std::vector<float>{1, 2, 6}, {3}));
    CHECK(x.shape() == Shape{1});
    CHECK(download<double>(x)[0] == doctest::Approx(3));
    const Tensor b = upload(*device, Matrix(3, 2));
    CHECK(download<double>(ops::least_squares(upload(*device, Matrix(3, 2)), b)) ==
          std::vector<double>(4, 0.0));
    CHECK(download<double>(ops::least_squares(upload(*device, Matrix(3, 0)), b)).empty());
    CHECK(download<double>(
              ops::least_squares(upload(*device, Matrix(0, 3)), upload(*device, Matrix(0, 2)))) ==
          std::vector<double>(6, 0.0));
  }
}

TEST_CASE("leastSquares fails the read on NaN and infinity") {
  for (Device* device : factorising_devices()) {
    for (const double bad :
         {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
      const Matrix a = random_matrix(5, 3, 1);
      const Matrix b = random_matrix(5, 1, 2);
      Matrix broken = a;
      broken.at(4, 2) = bad;
      CHECK(read_code(ops::least_squares(upload(*device, broken), upload(*device, b))) ==
            ErrorCode::numeric);
      broken = b;
      broken.at(0, 0) = bad;
      CHECK(read_code(ops::least_squares(upload(*device, a), upload(*device, broken))) ==
            ErrorCode::numeric);
    }
  }
}

TEST_CASE("leastSquares names the argument that does not fit") {
  Device& device = *devices().front();
  const Tensor a(device, {5, 3}, DType::f64);
  CHECK_THROWS_WITH_AS(ops::least_squares(a, Tensor(device, {3}, DType::f64)),
                       "b: expected [5] or [5, k], got [3]", Error);
  CHECK_THROWS_AS(ops::least_squares(a, Tensor(device, {5}, DType::f16)), Error);
  CHECK_THROWS_AS(ops::least_squares(Tensor(device, {5}, DType::f64), a), Error);
}

}  // namespace
}  // namespace espalier::test
