// Dense f32 products. The one place that knows the library behind them.
#pragma once

#include <cstdint>

#include "binding/core/status.h"

namespace espalier::cpu {

/// C = op(A) op(B), or C += op(A) op(B): row-major f32 with leading dimensions.
struct Gemm {
  bool transpose_a = false;  ///< A is [K, M] instead of [M, K]
  bool transpose_b = false;  ///< B is [N, K] instead of [K, N]
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  const float* a = nullptr;
  int64_t lda = 0;
  const float* b = nullptr;
  int64_t ldb = 0;
  float* c = nullptr;
  int64_t ldc = 0;
  bool accumulate = false;  ///< add to what C holds
};

/// Runs the product with f32 accumulation on the calling thread's OpenMP team. Zero sizes are
/// allowed: K = 0 gives zeros. NaN and infinity propagate. OUT_OF_MEMORY when the library has none.
Status gemm(const Gemm& g);

}  // namespace espalier::cpu
