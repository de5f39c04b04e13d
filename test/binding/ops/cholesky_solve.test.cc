#include "binding/ops/cholesky_solve.h"

#include <doctest/doctest.h>

#include <limits>

#include "test/binding/matrices.h"
#include "test/binding/nvidia_libraries.h"

namespace espalier::test {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

TEST_CASE("choleskySolve equals elimination in extended precision, damped and not") {
  for (Device* device : factorising_devices()) {
    for (const int64_t n : {1, 2, 7, 33, 65}) {
      for (const int64_t m : {1, 5}) {
        const Matrix h = gram_of(random_matrix(2 * n + 3, n, 1));
        const Matrix b = random_matrix(n, m, 2);
        for (const double damping : {0.0, 0.01, 3.0}) {
          const Tensor x =
              ops::cholesky_solve(upload(*device, h), upload(*device, b), damping, true);
          const Matrix expected = solved(damped(h, damping), b);
          CHECK(relative_error(download<double>(x), expected.values) < 1e-11);
        }
      }
    }
  }
}

TEST_CASE("choleskySolve takes f32 input, a vector, and absolute damping") {
  for (Device* device : factorising_devices()) {
    const Matrix h(2, 2, std::vector<float>{1, 0.5, 0.5, 1});
    const Tensor x = ops::cholesky_solve(upload(*device, h.floats(), {2, 2}),
                                         upload(*device, std::vector<float>{1, 2}, {2}), 1, false);
    CHECK(x.shape() == Shape{2});
    Matrix shifted = h;
    shifted.at(0, 0) = shifted.at(1, 1) = 2;
    const Matrix expected = solved(shifted, Matrix(2, 1, std::vector<float>{1, 2}));
    CHECK(relative_error(download<double>(x), expected.values) < 1e-14);
  }
}

TEST_CASE("choleskySolve reads only the lower triangle") {
  for (Device* device : factorising_devices()) {
    Matrix h = gram_of(random_matrix(9, 4, 3));
    const Matrix b = random_matrix(4, 1, 4);
    const Matrix expected = solved(h, b);
    for (int64_t i = 0; i < 4; ++i) {
      for (int64_t j = i + 1; j < 4; ++j) h.at(i, j) = kNan;
    }
    const Tensor x = ops::cholesky_solve(upload(*device, h), upload(*device, b), 0, true);
    CHECK(relative_error(download<double>(x), expected.values) < 1e-12);
  }
}

TEST_CASE("choleskySolve names the leading minor that is not positive definite") {
  for (Device* device : factorising_devices()) {
    const Matrix h(3, 3, std::vector<double>{1, 0, 0, 0, 1, 2, 0, 2, 1});
    const Tensor b = upload(*device, Matrix(3, 1));
    std::vector<double> values;
    const Status status = download(ops::cholesky_solve(upload(*device, h), b, 0, true), values);
    CHECK(status.code() == ErrorCode::numeric);
    CHECK(status.op() == "choleskySolve");
    CHECK(status.message().find("minor of order 3") != std::string::npos);
    CHECK(read_code(ops::cholesky_solve(upload(*device, h), b, 2, true)) == ErrorCode::ok);
  }
}

TEST_CASE("choleskySolve fails the read on NaN and infinity, and takes empty systems") {
  for (Device* device : factorising_devices()) {
    for (const double bad : {kNan, std::numeric_limits<double>::infinity()}) {
      Matrix h = gram_of(random_matrix(9, 4, 3));
      Matrix b = random_matrix(4, 2, 4);
      b.at(3, 1) = bad;
      CHECK(read_code(ops::cholesky_solve(upload(*device, h), upload(*device, b), 0, true)) ==
            ErrorCode::numeric);
      b.at(3, 1) = 0;
      h.at(3, 0) = bad;
      CHECK(read_code(ops::cholesky_solve(upload(*device, h), upload(*device, b), 0, true)) ==
            ErrorCode::numeric);
    }
    const Tensor empty = upload(*device, Matrix(0, 0));
    CHECK(download<double>(ops::cholesky_solve(empty, upload(*device, Matrix(0, 3)), 0.1, true))
              .empty());
    CHECK(download<double>(ops::cholesky_solve(upload(*device, Matrix(2, 2)),
                                               upload(*device, Matrix(2, 0)), 0, true))
              .empty());
  }
}

TEST_CASE("choleskySolve names the argument that does not fit") {
  Device& device = *devices().front();
  const Tensor h(device, {3, 3}, DType::f64);
  CHECK_THROWS_WITH_AS(ops::cholesky_solve(h, Tensor(device, {4}, DType::f64), 0, true),
                       "b: expected [3] or [3, m], got [4]", Error);
  CHECK_THROWS_AS(ops::cholesky_solve(Tensor(device, {3, 4}, DType::f64), h, 0, true), Error);
  CHECK_THROWS_AS(ops::cholesky_solve(h, Tensor(device, {3}, DType::bf16), 0, true), Error);
  CHECK_THROWS_AS(ops::cholesky_solve(h, h, -1, true), Error);
}

}  // namespace
}  // namespace espalier::test
