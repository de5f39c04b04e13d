// Dense products. gemm.cc and gemm_bf16.cc are the places that know the library behind them.
#pragma once

#include <cstdint>

#include "binding/core/status.h"

namespace espalier::cpu {

/// C = op(A) op(B), or C += op(A) op(B): row-major with leading dimensions, C f32.
/// @tparam Element float, or uint16_t for the bits of bf16
template <class Element>
struct MatrixProduct {
  bool transpose_a = false;  ///< A is [K, M] instead of [M, K]
  bool transpose_b = false;  ///< B is [N, K] instead of [K, N]
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  const Element* a = nullptr;
  int64_t lda = 0;
  const Element* b = nullptr;
  int64_t ldb = 0;
  float* c = nullptr;
  int64_t ldc = 0;
  bool accumulate = false;  ///< add to what C holds
};

/// A product of f32 matrices.
using Gemm = MatrixProduct<float>;
/// A product of bf16 matrices, exact products accumulated in f32.
using GemmBf16 = MatrixProduct<uint16_t>;

/// Runs the product with f32 accumulation on the calling thread's OpenMP team. Zero sizes are
/// allowed: K = 0 gives zeros. NaN and infinity propagate. OUT_OF_MEMORY when the library has none.
Status gemm(const Gemm& g);

/// Whether this processor and library multiply bf16 faster than f32.
bool has_fast_bf16();

/// As gemm(), of bf16 matrices. Needs has_fast_bf16().
Status gemm_bf16(const GemmBf16& g);

}  // namespace espalier::cpu
