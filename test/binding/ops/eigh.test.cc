#include "binding/ops/eigh.h"

#include <doctest/doctest.h>

#include <limits>

#include "test/binding/matrices.h"
#include "test/binding/nvidia_libraries.h"

namespace espalier::test {
namespace {

Matrix random_symmetric(int64_t n) {
  const Matrix a = random_matrix(n, n, 1);
  return sum(a, transposed(a));
}

TEST_CASE("eigh finds the eigenvalues of Jacobi rotations, ascending") {
  for (Device* device : factorising_devices()) {
    for (const int64_t n : {1, 2, 3, 8, 25}) {
      const Matrix a = random_symmetric(n);
      const auto result = ops::eigh(upload(*device, a));
      CHECK(relative_error(download<double>(result.values), eigenvalues(a)) < 1e-14);
    }
  }
}

TEST_CASE("eigh's vectors are orthonormal columns that rebuild the matrix") {
  for (Device* device : factorising_devices()) {
    for (const int64_t n : {1, 2, 33, 129, 300}) {
      const Matrix a = n == 33 ? gram_of(random_matrix(5, n, 2)) : random_symmetric(n);
      const auto result = ops::eigh(upload(*device, a));
      const Matrix v(n, n, download<double>(result.vectors));
      const auto values = download<double>(result.values);
      Matrix scaled = v;
      for (int64_t i = 0; i < n; ++i) {
        for (int64_t j = 0; j < n; ++j) scaled.at(i, j) *= values[static_cast<size_t>(j)];
      }
      CHECK(relative_error(product(scaled, transposed(v)).doubles(), a.values) < 1e-13);
      Matrix identity(n, n);
      for (int64_t i = 0; i < n; ++i) identity.at(i, i) = 1;
      CHECK(relative_error(product(transposed(v), v).doubles(), identity.values) < 1e-13);
    }
  }
}

TEST_CASE("eigh reads the lower triangle of f32 and f64, and fails the read on NaN and infinity") {
  for (Device* device : factorising_devices()) {
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      const std::vector<float> above{2, bad, 1, 2};
      const auto values = download<double>(ops::eigh(upload(*device, above, {2, 2})).values);
      CHECK(values[0] == doctest::Approx(1));
      CHECK(values[1] == doctest::Approx(3));
      const std::vector<float> below{2, 1, bad, 2};
      const auto broken = ops::eigh(upload(*device, below, {2, 2}));
      CHECK(read_code(broken.values) == ErrorCode::numeric);
      CHECK(read_code(broken.vectors) == ErrorCode::numeric);
    }
    const auto empty = ops::eigh(Tensor(*device, {0, 0}, DType::f64));
    CHECK(download<double>(empty.values).empty());
    CHECK(download<double>(empty.vectors).empty());
  }
}

TEST_CASE("eigh names the argument that does not fit") {
  Device& device = *devices().front();
  CHECK_THROWS_WITH_AS(ops::eigh(Tensor(device, {3, 4}, DType::f64)),
                       "a: expected a square matrix, got [3, 4]", Error);
  CHECK_THROWS_AS(ops::eigh(Tensor(device, {3, 3}, DType::bf16)), Error);
  CHECK_THROWS_AS(ops::eigh(Tensor(device, {40000, 40000}, DType::f32)), Error);
}

}  // namespace
}  // namespace espalier::test
