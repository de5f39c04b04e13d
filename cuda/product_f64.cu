// c[i, j] = Σ_l a[i, l] b[l, j] in f64, for factors of any strides.
#include "cuda/product_f64.h"

namespace espalier::cuda {
namespace {

struct StoreRows {
  double* c;
  int64_t n;

  __device__ void operator()(int64_t i, int64_t j, double sum) const { c[i * n + j] = sum; }
};

}  // namespace

Status multiply_f64(const CudaBackend& backend, const StridedMatrix& a, const StridedMatrix& b,
                    int64_t m, int64_t n, int64_t k, double* c) {
  return multiply_f64(backend, a, b, m, n, k, StoreRows{c, n});
}

}  // namespace espalier::cuda
