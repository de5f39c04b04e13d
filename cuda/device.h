// Small device functions that kernels share: element types, sums over warps and blocks.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "binding/core/dtype.h"

namespace espalier::cuda {

constexpr unsigned kAllLanes = 0xffffffffU;

/// A bf16 number as stored.
struct Bf16 {
  uint16_t bits;  ///< upper half of the f32 pattern
};

/// An f16 number as stored.
struct F16 {
  uint16_t bits;  ///< IEEE binary16
};

/// Exact value of a stored weight or activation.
__device__ inline float to_float(float value) { return value; }
__device__ inline float to_float(Bf16 value) { return float_from_bf16(value.bits); }
__device__ inline float to_float(F16 value) {
#ifdef __CUDA_ARCH__
  float wide;
  asm("cvt.f32.f16 %0, %1;" : "=f"(wide) : "h"(value.bits));
  return wide;
#else
  return float_from_f16(value.bits);
#endif
}

/// Rounded to nearest even.
template <class T>
__device__ T from_float(float value);
template <>
__device__ inline float from_float<float>(float value) {
  return value;
}
template <>
__device__ inline Bf16 from_float<Bf16>(float value) {
  return {bf16_from_float(value)};
}
template <>
__device__ inline F16 from_float<F16>(float value) {
#ifdef __CUDA_ARCH__
  F16 rounded;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(rounded.bits) : "f"(value));
  return rounded;
#else
  return {f16_from_float(value)};
#endif
}

/// Calls `body` with a value of the type that stands for a weight dtype.
template <class Body>
auto with_weight_type(DType dtype, Body&& body) {
  if (dtype == DType::bf16) return body(Bf16{});
  if (dtype == DType::f16) return body(F16{});
  return body(float{});
}

/// This thread's index over the whole grid of a one-dimensional launch, and the grid's threads.
__device__ inline int64_t global_thread() {
  return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ inline int64_t global_threads() { return static_cast<int64_t>(gridDim.x) * blockDim.x; }

/// Σ value over the warp, the same bits in all lanes. Every lane must call it.
template <class T>
__device__ inline T warp_sum(T value) {
  for (int lanes = 16; lanes > 0; lanes /= 2) value += __shfl_xor_sync(kAllLanes, value, lanes);
  return value;
}

/// Largest value over the warp, in all lanes.
template <class T>
__device__ inline T warp_max(T value) {
  for (int lanes = 16; lanes > 0; lanes /= 2) {
    const T other = __shfl_xor_sync(kAllLanes, value, lanes);
    value = other > value ? other : value;
  }
  return value;
}

/// Σ value over a block of whole warps along x, the same bits in all threads. `scratch` is shared
/// memory of 32 elements, free again when the function returns. Every thread must call it.
template <class T>
__device__ inline T block_sum(T value, T* scratch) {
  const unsigned lane = threadIdx.x % 32;
  const unsigned warp = threadIdx.x / 32;
  value = warp_sum(value);
  if (lane == 0) scratch[warp] = value;
  __syncthreads();
  value = lane < blockDim.x / 32 ? scratch[lane] : T{};
  value = warp_sum(value);
  __syncthreads();
  return value;
}

}  // namespace espalier::cuda
