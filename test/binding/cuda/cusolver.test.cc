#include <dlfcn.h>
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>

#include "binding/ops/cholesky_solve.h"
#include "binding/ops/ridge_update.h"
#include "test/binding/matrices.h"
#include "test/binding/nvidia_libraries.h"

namespace espalier::test {
namespace {

int64_t count(const char* name) {
  static void* const library = dlopen(ESPALIER_FAKE_CUSOLVER, RTLD_NOW);
  return reinterpret_cast<int64_t (*)()>(dlsym(library, name))();
}

// Factorisations that the stand-in has made, and how many of them in f32.
int64_t factorisations_made() { return count("fake_cusolver_factorisations"); }
int64_t narrow_made() { return count("fake_cusolver_narrow_factorisations"); }

// An emulated card of a capability, with the stand-in. The variable is read when the device starts,
// and new_device_with_cusolver waits for its first op.
Device& card(const char* capability) {
  setenv("ESPALIER_SHIM_CAPABILITY", capability, 1);
  Device& device = new_device_with_cusolver();
  unsetenv("ESPALIER_SHIM_CAPABILITY");
  return device;
}

// A card with little f64.
Device& consumer_card() {
  static Device& device = card("89");
  return device;
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

// What refinement on a consumer card makes of (h + λI) x = b, against elimination in extended
// precision, and how many factorisations in f32 and f64 that took.
struct Outcome {
  double error;
  int64_t narrow, wide;
};

Outcome solve_on(Device& device, const Matrix& h, const Matrix& b, double damping) {
  const int64_t all = factorisations_made();
  const int64_t narrow = narrow_made();
  const auto x =
      download<double>(ops::cholesky_solve(upload(device, h), upload(device, b), damping, true));
  const double error = relative_error(x, solved(damped(h, damping), b).values);
  return {error, narrow_made() - narrow, factorisations_made() - all - (narrow_made() - narrow)};
}

TEST_CASE("cards with little f64 factor in f32 and refine few solutions to f64") {
  for (const int64_t n : {32, 65, 200}) {
    for (const int64_t m : {int64_t{1}, n / 32}) {
      const Matrix h = gram_of(random_matrix(2 * n + 3, n, 1));
      const Matrix b = random_matrix(n, m, 2);
      for (const double damping : {0.0, 0.01}) {
        const Outcome got = solve_on(consumer_card(), h, b, damping);
        CHECK(got.error < 1e-13);
        CHECK(got.narrow == 1);
        CHECK(got.wide == 0);
      }
    }
  }
}

TEST_CASE("many solutions, and cards with much f64, take an f64 factor at once") {
  const Matrix h = gram_of(random_matrix(140, 64, 1));
  const Outcome many = solve_on(consumer_card(), h, random_matrix(64, 3, 2), 0);
  CHECK(many.narrow == 0);
  CHECK(many.wide == 1);
  const Outcome large = solve_on(device_with_cusolver(), h, random_matrix(64, 1, 2), 0);
  CHECK(large.narrow == 0);
  CHECK(large.wide == 1);
}

TEST_CASE("refinement is not troubled by columns of very different sizes") {
  const int64_t n = 64;
  Matrix a = random_matrix(2 * n, n, 1);
  for (int64_t i = 0; i < a.rows; ++i) {
    for (int64_t j = 0; j < n; ++j) a.at(i, j) *= std::pow(10.0L, j % 2 == 0 ? -40 : 40);
  }
  const Matrix h = gram_of(a);
  const Matrix b = random_matrix(n, 1, 2);
  const int64_t narrow = narrow_made();
  const auto x = download<double>(
      ops::cholesky_solve(upload(consumer_card(), h), upload(consumer_card(), b), 0, true));
  CHECK(narrow_made() == narrow + 1);
  CHECK(elementwise_error(x, solved(h, b).values) < 1e-10);
}

TEST_CASE("what is too near to singular for f32 is factored in f64 after all") {
  const int64_t n = 64;
  Matrix h = gram_of(random_matrix(n / 2, n, 1));  // half the rank
  for (const double damping : {1e-4, 1e-9}) {
    const Outcome got = solve_on(consumer_card(), h, random_matrix(n, 2, 2), damping);
    CHECK(got.error < 1e-15 * static_cast<double>(n) / damping);
    CHECK(got.narrow == 1);
    CHECK(got.wide == (damping < 1e-7 ? 1 : 0));
  }
  h.at(n - 1, n - 1) = -1;
  std::vector<double> values;
  Device& device = consumer_card();
  const Tensor b = upload(device, random_matrix(n, 1, 2));
  const Status status = download(ops::cholesky_solve(upload(device, h), b, 0.1, true), values);
  CHECK(status.code() == ErrorCode::numeric);
  CHECK(status.message().find("minor of order 64") != std::string::npos);
  h.at(n - 1, 0) = std::nan("");
  CHECK(read_code(ops::cholesky_solve(upload(device, h), b, 0.1, true)) == ErrorCode::numeric);
}

TEST_CASE("a layer of few rows is repaired by refinement, from f32 and f64 and zeros too") {
  Device& device = consumer_card();
  const int64_t n = 70;
  const Matrix g = gram_of(random_matrix(2 * n, n, 1));
  const Matrix w = random_matrix(2, n, 2);
  const Matrix c = product(w, g);
  const int64_t narrow = narrow_made();
  const auto kept = download(ops::ridge_update(upload(device, w.floats(), {2, n}),
                                               upload(device, g), upload(device, c), 0.1));
  CHECK(narrow_made() == narrow + 1);
  CHECK(normalised_error(kept, w.floats()) < 1e-13);
  const Tensor zeros = ops::cholesky_solve(upload(device, g.floats(), {n, n}),
                                           upload(device, Matrix(n, 1)), 0.1, true);
  CHECK(download<double>(zeros) == std::vector<double>(static_cast<size_t>(n), 0.0));
}

}  // namespace
}  // namespace espalier::test
