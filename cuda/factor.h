// Steps that the factorisations share: checking and copying matrices, damping, Cholesky factors.
// All of them wait for the device where what they find out decides how to go on.
#pragma once

#include <cstdint>

#include "binding/core/numeric_failure.h"
#include "cuda/cuda_backend.h"
#include "cuda/launch.h"
#include "cuda/scratch.h"

namespace espalier::cuda {

/// Fails with NUMERIC, calling the array `name`, when an element of an f32 or f64 array is NaN or
/// infinite.
Status expect_finite(CudaBackend& backend, const ConstView& x, const char* name);

/// Copies an f32 or f64 array into f64.
Status copy_to_f64(CudaBackend& backend, const ConstView& x, double* target);

/// λ of a damping factor: factor · mean(diag h) when relative, otherwise the factor itself.
Status damping_of(CudaBackend& backend, const ConstView& h, double factor, bool relative,
                  double& lambda);

/// Writes h + λI to `target` [n, n], lower triangle only; the rest is left as it was. Fails with
/// NUMERIC when that triangle of h holds a NaN or an infinity.
Status copy_damped(CudaBackend& backend, const ConstView& h, double lambda, double* target);

/// Replaces the lower triangle of S [n, n] by its Cholesky factor L, S = L Lᵀ; the other triangle
/// is left alone. Fails with NUMERIC, naming the leading minor that is not positive definite.
Status factor_in_place(CudaBackend& backend, double* matrix, int64_t n);

/// factor_in_place of h + λI, copied to `factor` [n, n].
Status factor_damped(CudaBackend& backend, const ConstView& h, double lambda, double* factor);

/// Replaces each of `count` rows x of [count, n] by (L Lᵀ)⁻¹ x.
Status solve_rows(CudaBackend& backend, const double* factor, int64_t n, double* rows,
                  int64_t count);

/// Replaces the factor of factor_in_place by L⁻¹, in place.
Status invert_factor(CudaBackend& backend, double* factor, int64_t n);

/// diagonal[j] = [(L Lᵀ)⁻¹]_jj from the lower triangle of L⁻¹ as invert_factor leaves it: the sum
/// of squares of its column j.
Status inverse_diagonal(CudaBackend& backend, const double* inverse, int64_t n, double* diagonal);

/// Replaces the factor of factor_in_place by the lower triangle of (L Lᵀ)⁻¹, in place.
Status invert_product(CudaBackend& backend, double* factor, int64_t n);

/// Reads a number of the device.
Status read_number(CudaBackend& backend, const double* number, double& value);

/// Reads what a factorisation left as its `info`, or a flag.
Status read_info(CudaBackend& backend, const int* info, int& value);

/// Runs `call` with a place for its `info`, waits, and returns failure(info) unless that is 0.
template <class Call, class Failure>
Status check_info(CudaBackend& backend, Call&& call, Failure&& failure) {
  const Scratch<int> info(backend, 1);
  if (info.data() == nullptr) return out_of_scratch();
  if (Status status = call(info.data()); !status.ok()) return status;
  int found = 0;
  if (Status status = read_info(backend, info.data(), found); !status.ok()) return status;
  return found == 0 ? Status() : failure(found);
}

/// As check_info for a flag that is 0 until `call` raises it.
template <class Call, class Failure>
Status check_flag(CudaBackend& backend, Call&& call, Failure&& failure) {
  return check_info(
      backend,
      [&](int* flag) {
        const cudaError_t error = cudaMemsetAsync(flag, 0, sizeof(int), backend.stream());
        return error == cudaSuccess ? call(flag) : status_of(error, "clear");
      },
      failure);
}

}  // namespace espalier::cuda
