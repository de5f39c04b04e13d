#include "binding/cpu/gemm.h"

#include <algorithm>

#include "dnnl.h"

namespace espalier::cpu {

Status gemm(const Gemm& g) {
  if (g.m == 0 || g.n == 0) return {};
  if (g.k == 0) {
    for (int64_t row = 0; !g.accumulate && row < g.m; ++row) {
      std::fill_n(g.c + row * g.ldc, g.n, 0.0F);
    }
    return {};
  }
  const dnnl_status_t status =
      dnnl_sgemm(g.transpose_a ? 'T' : 'N', g.transpose_b ? 'T' : 'N', g.m, g.n, g.k, 1.0F, g.a,
                 g.lda, g.b, g.ldb, g.accumulate ? 1.0F : 0.0F, g.c, g.ldc);
  if (status == dnnl_success) return {};
  if (status == dnnl_out_of_memory) {
    return {ErrorCode::out_of_memory, "the host has no memory left for a matrix product"};
  }
  return {ErrorCode::unsupported, "oneDNN refused a matrix product"};
}

}  // namespace espalier::cpu
