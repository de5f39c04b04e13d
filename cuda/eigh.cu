// Symmetric eigen-decomposition a = V diag(values) Vᵀ by cuSOLVER's divide and conquer (syevd) in
// f64. a: [n, n] f32 or f64, lower triangle; values: [n] f64 ascending; V: [n, n] f64, eigenvectors
// as columns. The library leaves them as rows, so the result is turned in place. Memory: the
// library's workspace, about 2 n² f64. Where the library is missing, the CPU backend does it.
#include "cuda/cusolver.h"
#include "cuda/decompose.h"
#include "cuda/factor.h"
#include "cuda/mirror.h"
#include "cuda/on_host.h"

namespace espalier::cuda {
namespace {

struct Swap {
  double* a;
  int64_t n;

  __device__ void operator()(int64_t i, int64_t j) const {
    const double below = a[i * n + j];
    a[i * n + j] = a[j * n + i];
    a[j * n + i] = below;
  }
};

}  // namespace

Status CudaBackend::eigh(const EighArguments& a) {
  if (!cusolver().found()) {
    return on_host(*this, a, &Backend::eigh, {&EighArguments::a},
                   {&EighArguments::values, &EighArguments::vectors});
  }
  const int64_t n = a.a.shape.columns();
  if (n == 0) return {};
  auto* const vectors = a.vectors.as<double>();
  if (Status status = copy_damped(*this, a.a, 0, vectors); !status.ok()) return status;
  Status status = decompose_symmetric(*this, vectors, n, a.values.as<double>());
  if (!status.ok()) return status;
  return for_each_mirrored(*this, n, Swap{vectors, n});
}

}  // namespace espalier::cuda
