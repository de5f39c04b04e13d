#include "binding/ops/leave_group_out.h"

#include <doctest/doctest.h>

#include <limits>

#include "test/binding/matrices.h"
#include "test/binding/nvidia_libraries.h"

namespace espalier::test {
namespace {

// min over W' of ‖X Wᵀ - X' W'ᵀ‖², X' = X without the group: the definition, by normal equations.
long double error_without(const Matrix& x, const Matrix& w, int64_t start, int64_t size) {
  const Matrix target = product(x, transposed(w));
  const Matrix kept = without_columns(x, start, size);
  const Matrix solution =
      solved(product(transposed(kept), kept), product(transposed(kept), target));
  return squares(sum(target, product(kept, solution), -1));
}

TEST_CASE("leaveGroupOut is the error left after re-solving the layer without the group") {
  for (Device* device : factorising_devices()) {
    for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
      for (const int64_t size : {1, 2, 3, 6}) {
        const int64_t n = 12;
        const Matrix x = random_matrix(40, n, 1);
        const auto weights = rounded_to(random_values(static_cast<size_t>(7 * n), 2), dtype);
        const Matrix w(7, n, weights);
        const Tensor scores = ops::leave_group_out(
            upload(*device, gram_of(x)), upload_as(*device, weights, {7, n}, dtype), size, 0);
        CHECK(scores.shape() == Shape{n / size});
        std::vector<long double> expected;
        for (int64_t start = 0; start < n; start += size) {
          expected.push_back(error_without(x, w, start, size));
        }
        CHECK(elementwise_error(download<double>(scores), expected) < 1e-10);
      }
    }
  }
}

TEST_CASE("leaveGroupOut with damping equals tr(W_g ([(G + λI)⁻¹]_gg)⁻¹ W_gᵀ) at odd sizes") {
  for (Device* device : factorising_devices()) {
    struct Case {
      int64_t n, size, out;
    };
    for (const auto& [n, size, out] :
         {Case{1, 1, 1}, Case{35, 7, 3}, Case{35, 35, 9}, Case{129, 1, 5}, Case{130, 65, 4200}}) {
      const Matrix g = gram_of(random_matrix(n / 2 + 1, n, 3));  // rank deficient
      const Matrix w = random_matrix(out, n, 4);
      Matrix identity(n, n);
      for (int64_t i = 0; i < n; ++i) identity.at(i, i) = 1;
      const Matrix inverse = solved(damped(g, 0.05), identity);
      std::vector<long double> expected;
      for (int64_t start = 0; start < n; start += size) {
        const Matrix wg = columns_of(w, start, size);
        const Matrix block = columns_of(transposed(columns_of(inverse, start, size)), start, size);
        const Matrix error = solved(block, product(transposed(wg), wg));
        long double trace = 0;
        for (int64_t i = 0; i < size; ++i) trace += error.at(i, i);
        expected.push_back(trace);
      }
      const Tensor scores = ops::leave_group_out(upload(*device, g),
                                                 upload(*device, w.floats(), {out, n}), size, 0.05);
      CHECK(elementwise_error(download<double>(scores), expected) < 1e-10);
    }
  }
}

TEST_CASE("leaveGroupOut fails the read where there is no answer, and takes empty matrices") {
  for (Device* device : factorising_devices()) {
    const Tensor g = upload(*device, gram_of(random_matrix(2, 4, 1)));
    const Tensor w = upload(*device, random_values(12, 1), {3, 4});
    CHECK(read_code(ops::leave_group_out(g, w, 2, 0)) == ErrorCode::numeric);
    CHECK(read_code(ops::leave_group_out(g, w, 2, 0.01)) == ErrorCode::ok);
    for (const int64_t size : {1, 2}) {
      for (const float bad :
           {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        std::vector<float> values(12, 1.0F);
        values[7] = bad;
        CHECK(read_code(ops::leave_group_out(g, upload(*device, values, {3, 4}), size, 1)) ==
              ErrorCode::numeric);
        Matrix broken = gram_of(random_matrix(9, 4, 1));
        broken.at(2, 1) = static_cast<long double>(bad);
        CHECK(read_code(ops::leave_group_out(upload(*device, broken), w, size, 1)) ==
              ErrorCode::numeric);
      }
    }
    CHECK(download<double>(ops::leave_group_out(Tensor(*device, {0, 0}, DType::f64),
                                                Tensor(*device, {3, 0}, DType::f32), 1, 0))
              .empty());
    CHECK(download<double>(ops::leave_group_out(g, Tensor(*device, {0, 4}, DType::f32), 2, 0.1)) ==
          std::vector<double>{0, 0});
  }
}

TEST_CASE("leaveGroupOut names the argument that does not fit") {
  Device& device = *devices().front();
  const Tensor g(device, {4, 4}, DType::f64);
  const Tensor w(device, {3, 4}, DType::f32);
  CHECK_THROWS_WITH_AS(ops::leave_group_out(g, w, 3, 0),
                       "groupSize: expected a divisor of 4, got 3", Error);
  CHECK_THROWS_AS(ops::leave_group_out(g, w, 0, 0), Error);
  CHECK_THROWS_AS(ops::leave_group_out(g, g, 1, 0), Error);
  CHECK_THROWS_AS(ops::leave_group_out(g, Tensor(device, {3, 5}, DType::f32), 1, 0), Error);
  CHECK_THROWS_AS(ops::leave_group_out(g, w, 1, std::nan("")), Error);
}

}  // namespace
}  // namespace espalier::test
