#include "binding/ops/ridge_update.h"

#include <doctest/doctest.h>

#include <limits>

#include "test/binding/matrices.h"
#include "test/binding/nvidia_libraries.h"

namespace espalier::test {
namespace {

struct Problem {
  Matrix x;
  Matrix y;
  Matrix g;
  Matrix c;
};

Problem make_problem(int64_t samples, int64_t out, int64_t in) {
  const Matrix x = random_matrix(samples, in, 1);
  const Matrix y = random_matrix(samples, out, 2);
  const Matrix c = product(transposed(y), x);
  return {x, y, gram_of(x), Matrix(out, in, c.doubles())};
}

// W + (C - W G)(G + λI)⁻¹, literally.
Matrix reference(const Matrix& w, const Problem& p, double damping) {
  const Matrix residual = sum(p.c, product(w, p.g), -1);
  return sum(w, transposed(solved(damped(p.g, damping), transposed(residual))));
}

TEST_CASE("ridgeUpdate equals W + (C - W G)(G + λI)⁻¹ for every weight dtype") {
  for (Device* device : factorising_devices()) {
    for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
      for (const int64_t in : {1, 3, 16, 37}) {
        for (const int64_t out : {1, 5, 530}) {
          const Problem p = make_problem(2 * in + 5, out, in);
          const auto w = rounded_to(random_values(static_cast<size_t>(out * in), 3), dtype);
          const Tensor updated =
              ops::ridge_update(upload_as(*device, w, {out, in}, dtype), upload(*device, p.g),
                                upload(*device, p.c), 0.01);
          const Matrix expected = reference(Matrix(out, in, w), p, 0.01);
          CHECK(normalised_error(download(updated), expected.doubles()) < 1e-13);
        }
      }
    }
  }
}

TEST_CASE("ridgeUpdate without damping is the least-squares solution, with much damping W itself") {
  for (Device* device : factorising_devices()) {
    const Problem p = make_problem(40, 4, 9);
    const Matrix w = random_matrix(4, 9, 5);
    const Tensor weight = upload(*device, w.floats(), {4, 9});
    const Matrix solution(
        4, 9, download(ops::ridge_update(weight, upload(*device, p.g), upload(*device, p.c), 0)));
    // Normal equations: the residual is orthogonal to the inputs.
    const Matrix residual = sum(p.y, product(p.x, transposed(solution)), -1);
    CHECK(static_cast<double>(squares(product(transposed(p.x), residual)) / squares(p.c)) < 1e-12);
    const auto kept =
        download(ops::ridge_update(weight, upload(*device, p.g), upload(*device, p.c), 1e12));
    CHECK(normalised_error(kept, w.floats()) < 1e-12);
  }
}

TEST_CASE("ridgeUpdate of a layer that already fits its targets changes nothing") {
  for (Device* device : factorising_devices()) {
    const Matrix w = random_matrix(6, 11, 6);
    const Matrix g = gram_of(random_matrix(30, 11, 7));
    const Matrix c = product(w, g);
    const auto kept = download(ops::ridge_update(upload(*device, w.floats(), {6, 11}),
                                                 upload(*device, g), upload(*device, c), 0.1));
    CHECK(normalised_error(kept, w.floats()) < 1e-13);
  }
}

TEST_CASE("ridgeUpdate fails the read where there is no answer, and takes empty layers") {
  for (Device* device : factorising_devices()) {
    const Problem p = make_problem(2, 3, 4);  // two samples: G has rank 2
    const Tensor w = upload(*device, random_values(12, 1), {3, 4});
    const Tensor g = upload(*device, p.g);
    const Tensor c = upload(*device, p.c);
    std::vector<float> values;
    CHECK(download(ops::ridge_update(w, g, c, 0), values).code() == ErrorCode::numeric);
    CHECK(download(ops::ridge_update(w, g, c, 0.01), values).ok());
    for (const double bad :
         {std::numeric_limits<double>::quiet_NaN(), -std::numeric_limits<double>::infinity()}) {
      Matrix broken = p.c;
      broken.at(2, 3) = bad;
      CHECK(download(ops::ridge_update(w, g, upload(*device, broken), 1), values).code() ==
            ErrorCode::numeric);
      broken = p.g;
      broken.at(3, 0) = bad;
      CHECK(download(ops::ridge_update(w, upload(*device, broken), c, 1), values).code() ==
            ErrorCode::numeric);
    }
    CHECK(download(ops::ridge_update(Tensor(*device, {0, 4}, DType::f32), g,
                                     Tensor(*device, {0, 4}, DType::f64), 1))
              .empty());
    CHECK(download(ops::ridge_update(Tensor(*device, {3, 0}, DType::f32),
                                     Tensor(*device, {0, 0}, DType::f64),
                                     Tensor(*device, {3, 0}, DType::f64), 1))
              .empty());
  }
}

TEST_CASE("ridgeUpdate names the argument that does not fit") {
  Device& device = *devices().front();
  const Tensor w(device, {3, 4}, DType::f32);
  const Tensor g(device, {4, 4}, DType::f64);
  const Tensor c(device, {3, 4}, DType::f64);
  CHECK_THROWS_WITH_AS(ops::ridge_update(w, c, c, 0.1), "g: expected [4, 4], got [3, 4]", Error);
  CHECK_THROWS_AS(ops::ridge_update(w, g, g, 0.1), Error);
  CHECK_THROWS_AS(ops::ridge_update(w, g, w, 0.1), Error);
  CHECK_THROWS_AS(ops::ridge_update(w, g, c, -0.1), Error);
}

}  // namespace
}  // namespace espalier::test
