#include <dlfcn.h>
#include <doctest/doctest.h>

#include "binding/ops/cholesky_solve.h"
#include "test/binding/matrices.h"
#include "test/binding/nvidia_libraries.h"

namespace espalier::test {
namespace {

// Factorisations that the stand-in has made.
int64_t factorisations_made() {
  static void* const library = dlopen(ESPALIER_FAKE_CUSOLVER, RTLD_NOW);
  return reinterpret_cast<int64_t (*)()>(dlsym(library, "fake_cusolver_factorisations"))();
}

// What `op` makes of a positive definite matrix of order `n`, and that it goes through the library.
template <class Op>
void check_made(int64_t n, Op&& op) {
  const Matrix h = gram_of(random_matrix(2 * n, n, 1));
  const int64_t before = factorisations_made();
  CHECK(read_code(op(upload(device_with_cusolver(), h))) == ErrorCode::ok);
  CHECK(factorisations_made() > before);
}

Tensor values_of(const Tensor& h) { return ops::eigh(h).values; }

Tensor solution_of(const Tensor& h) { return ops::cholesky_solve(h, h, 0.1, true); }

TEST_CASE("factorisations go to cuSOLVER where it is found") {
  for (const int64_t n : {1, 5, 40}) {
    check_made(n, values_of);
    check_made(n, solution_of);
  }
}

TEST_CASE("failures inside cuSOLVER fail the read and leave the device usable") {
  for (const auto op : {values_of, solution_of}) {
    const auto status = [&](int64_t n) {
      const Matrix h = gram_of(random_matrix(2 * n, n, 1));
      std::vector<double> values;
      return download(op(upload(device_with_cusolver(), h)), values);
    };
    CHECK(status(77).code() == ErrorCode::device_unavailable);
    CHECK(status(77).message().find("error 6") != std::string::npos);
    CHECK(status(78).code() == ErrorCode::out_of_memory);
    check_made(8, op);
  }
}

TEST_CASE("what does not converge in cuSOLVER is NUMERIC") {
  const Matrix h = gram_of(random_matrix(100, 79, 1));
  std::vector<double> values;
  const Status status = download(values_of(upload(device_with_cusolver(), h)), values);
  CHECK(status.code() == ErrorCode::numeric);
  CHECK(status.message() == "the eigen-decomposition did not converge (syevd: 5)");
}

}  // namespace
}  // namespace espalier::test
