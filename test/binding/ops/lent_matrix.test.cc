#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "binding/ops/cholesky_solve.h"
#include "binding/ops/leave_group_out.h"
#include "binding/ops/leave_one_out.h"
#include "binding/ops/ridge_update.h"
#include "test/binding/nvidia_libraries.h"

namespace espalier::test {
namespace {

constexpr int64_t kOrder = 1030;

// Symmetric to the last bit and positive definite: |i - j| decays, the diagonal varies.
std::vector<double> symmetric() {
  std::vector<double> a(static_cast<size_t>(kOrder * kOrder));
  for (int64_t i = 0; i < kOrder; ++i) {
    for (int64_t j = 0; j < kOrder; ++j) {
      const auto apart = static_cast<double>(i < j ? j - i : i - j);
      a[static_cast<size_t>(i * kOrder + j)] =
          1 / (1 + apart * apart) + (i == j ? 1e-3 * static_cast<double>(i + 1) : 0);
    }
  }
  return a;
}

// What `solve` makes of the matrix, which must not have changed, and of one whose upper triangle
// does not mirror the lower: that one cannot be lent, and nobody reads its upper triangle.
template <class Solve>
void check(Device& device, Solve&& solve) {
  std::vector<double> values = symmetric();
  const Tensor lent = upload(device, values, {kOrder, kOrder}, DType::f64);
  const auto expected = solve(lent);
  CHECK(download<double>(lent) == values);
  values[kOrder - 1] = 7;
  CHECK(solve(upload(device, values, {kOrder, kOrder}, DType::f64)) == expected);
}

TEST_CASE("factorisations of large symmetric matrices leave them as they were") {
  for (Device* device : factorising_devices()) {
    const Tensor w = upload(*device, random_values(4 * kOrder, 1), {4, kOrder});
    const Tensor c = upload(*device, std::vector<double>(static_cast<size_t>(4 * kOrder), 0.5),
                            {4, kOrder}, DType::f64);
    const Tensor b = upload(*device, std::vector<double>(kOrder, 1), {kOrder}, DType::f64);
    check(*device, [&](const Tensor& g) { return download(ops::ridge_update(w, g, c, 0.01)); });
    check(*device,
          [&](const Tensor& g) { return download<double>(ops::leave_group_out(g, w, 1, 0.01)); });
    check(*device, [&](const Tensor& h) {
      return download<double>(ops::leave_one_out(h, 0.01, ConditionMethod::none).residual);
    });
    check(*device, [&](const Tensor& h) {
      // So much damping that few Lanczos vectors do.
      return download<double>(*ops::leave_one_out(h, 1e4, ConditionMethod::lanczos).condition);
    });
    check(*device,
          [&](const Tensor& h) { return download<double>(ops::cholesky_solve(h, b, 0.01, true)); });
  }
}

TEST_CASE("a failed factorisation of a large symmetric matrix leaves it as it was") {
  for (Device* device : factorising_devices()) {
    std::vector<double> values = symmetric();
    values[static_cast<size_t>(900 * kOrder + 900)] = -1;
    const Tensor h = upload(*device, values, {kOrder, kOrder}, DType::f64);
    std::vector<double> residual;
    CHECK(download(ops::leave_one_out(h, 0, ConditionMethod::none).residual, residual).code() ==
          ErrorCode::numeric);
    CHECK(download<double>(h) == values);
  }
}

TEST_CASE("a large symmetric matrix may be its own right-hand side") {
  for (Device* device : factorising_devices()) {
    const Tensor h = upload(*device, symmetric(), {kOrder, kOrder}, DType::f64);
    const auto solution = download<double>(ops::cholesky_solve(h, h, 0, false));
    double worst = 0;
    for (int64_t i = 0; i < kOrder; ++i) {
      for (int64_t j = 0; j < kOrder; ++j) {
        const double wanted = i == j ? 1 : 0;
        worst = std::max(worst, std::abs(solution[static_cast<size_t>(i * kOrder + j)] - wanted));
      }
    }
    CHECK(worst < 1e-6);
  }
}

}  // namespace
}  // namespace espalier::test
