// NVIDIA's library of factorisations, where it can be found.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "cuda/cuda_backend.h"

namespace espalier::cuda {

struct CusolverApi;

/// cuSOLVER, opened when it is first wanted, or the knowledge that it is missing. Belongs to one
/// backend and is used on its dispatcher thread alone. Each method queues one factorisation, with
/// workspace of its own, and leaves LAPACK's `info` in device memory: 0, or what went wrong.
/// OUT_OF_ MEMORY without workspace; DEVICE_UNAVAILABLE where the library itself fails. Matrices
/// are f64 or f32, named as they stand row by row; to the library the same memory is the transpose.
/// Same input on the same card gives the same bits, the library's default.
class Cusolver {
 public:
  /// Looks for the library.
  Cusolver();
  Cusolver(const Cusolver&) = delete;
  Cusolver& operator=(const Cusolver&) = delete;
  ~Cusolver();

  /// False where the library is missing: factorisations then run on the host.
  [[nodiscard]] bool found() const { return api_ != nullptr; }

  /// Replaces the lower triangle of S [n, n] by L, S = L Lᵀ; the other triangle is left alone. info
  /// > 0: the leading minor of that order is not positive definite.
  template <class T>
  Status cholesky(CudaBackend& backend, T* matrix, int64_t n, int* info);

  /// Replaces each of `count` rows x of [count, n] by (L Lᵀ)⁻¹ x, L in the lower triangle of
  /// `factor`, whose rows are `stride` elements apart.
  template <class T>
  Status cholesky_solve(CudaBackend& backend, const T* factor, int64_t n, int64_t stride, T* rows,
                        int64_t count, int* info);

  /// Replaces the lower triangle L of [n, n] by L⁻¹. info > 0: that diagonal element is 0.
  Status invert_triangle(CudaBackend& backend, double* factor, int64_t n, int* info);

  /// Replaces the lower triangle L of [n, n] by that of (L Lᵀ)⁻¹.
  Status invert(CudaBackend& backend, double* factor, int64_t n, int* info);

  /// Eigenvalues, ascending, of the symmetric matrix whose lower triangle stands in `matrix` [n,
  /// n], whose row i becomes the i-th eigenvector. info > 0: not converged.
  Status eigen(CudaBackend& backend, double* matrix, int64_t n, double* values, int* info);

  /// Thin singular value decomposition of a matrix [m, n], m <= n, which is lost: u [m, m], s [m]
  /// descending, vt [m, n]. Null u and vt: values alone. info > 0: not converged.
  Status singular(CudaBackend& backend, double* matrix, int64_t m, int64_t n, double* u, double* s,
                  double* vt, int* info);

  /// Replaces the first n columns of a matrix [n, m], n <= m, whose rows are vectors, by a lower
  /// triangle L for which Lᵀ is the R of their QR factorisation. What stands beside L is lost.
  Status qr(CudaBackend& backend, double* matrix, int64_t n, int64_t m, int* info);

 private:
  // Makes the handle when there is none yet, and queues what comes before a factorisation.
  Status prepare(CudaBackend& backend);

  std::unique_ptr<CusolverApi> api_;
  void* handle_ = nullptr;
  void* parameters_ = nullptr;
};

/// One line for people: which library factorises, from where, or why the host does. Makes no
/// context.
std::string describe_cusolver();

}  // namespace espalier::cuda
