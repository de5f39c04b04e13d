// Symmetric eigen-decomposition a = V diag(values) Vᵀ by LAPACK's divide and conquer. a: [n, n] f32
// or f64, lower triangle; values: [n] f64 ascending; V: [n, n] f64, eigenvectors as columns.
// Workspace: 2 n² f64.
#include "binding/cpu/blas_buffers.h"
#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/decompose.h"
#include "binding/cpu/factor.h"
#include "binding/cpu/transpose_square.h"

namespace espalier::cpu {

Status CpuBackend::eigh(const EighArguments& a) {
  const int64_t n = a.a.shape.columns();
  if (n == 0) return {};
  if (Status status = prepare_blas(); !status.ok()) return status;
  auto* vectors = a.vectors.as<double>();
  if (Status status = copy_damped(a.a, 0, vectors); !status.ok()) return status;
  if (Status status = decompose_symmetric(vectors, n, a.values.as<double>(), true); !status.ok()) {
    return status;
  }
  transpose_square(vectors, n);
  return {};
}

}  // namespace espalier::cpu
