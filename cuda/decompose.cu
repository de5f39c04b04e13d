// The library takes matrices by columns, with no fewer rows than columns. A matrix of ours that is
// wide, read by columns, is its transpose and just that; a tall one is turned first.
#include "cuda/cusolver.h"
#include "cuda/decompose.h"
#include "cuda/factor.h"
#include "cuda/scratch.h"

namespace espalier::cuda {

Status decompose_symmetric(CudaBackend& backend, double* a, int64_t n, double* values) {
  return check_info(
      backend, [&](int* info) { return backend.cusolver().eigen(backend, a, n, values, info); },
      [](int info) { return not_converged("the eigen-decomposition", "syevd", info); });
}

Status copy_wide(CudaBackend& backend, const ConstView& a, double* target) {
  const int64_t m = a.shape.rows();
  const int64_t n = a.shape.columns();
  if (m <= n) return copy_to_f64(backend, a, target);
  const Scratch<double> tall(backend, static_cast<size_t>(m * n));
  if (tall.data() == nullptr) return out_of_scratch();
  if (Status status = copy_to_f64(backend, a, tall.data()); !status.ok()) return status;
  return backend.transpose(
      {.x = {tall.data(), DType::f64, {m, n}}, .output = {target, DType::f64, {n, m}}});
}

Status decompose_singular(CudaBackend& backend, const ConstView& a, double* s,
                          const SingularVectors& vectors) {
  if (Status status = expect_finite(backend, a, "a"); !status.ok()) return status;
  const Scratch<double> wide(backend, static_cast<size_t>(a.shape.elements()));
  if (wide.data() == nullptr) return out_of_scratch();
  if (Status status = copy_wide(backend, a, wide.data()); !status.ok()) return status;
  const int64_t m = a.shape.rows();
  const int64_t n = a.shape.columns();
  return check_info(
      backend,
      [&](int* info) {
        return backend.cusolver().singular(backend, wide.data(), m < n ? m : n, m < n ? n : m,
                                           vectors.shorter, s, vectors.longer, info);
      },
      [](int info) { return not_converged("the singular value decomposition", "gesvd", info); });
}

}  // namespace espalier::cuda
