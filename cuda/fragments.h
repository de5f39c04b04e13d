// Tensor-core products of a warp: 16 x 8 += (16 x 16)(16 x 8) in bf16 with f32 sums, and the loads
// of their factors from shared memory. Every lane of the warp must call each function. On the host
// the lanes exchange what they hold. Cards before sm_80 have no such instruction; callers ask.
//
// Of a fragment, lane l holds, with g = l / 4 and t = l % 4:
//   A: words (g, 2t..2t+1), (g+8, 2t..), (g, 2t+8..), (g+8, 2t+8..)   [row, inner]
//   B: words (2t..2t+1, g), (2t+8.., g)                               [inner, column]
//   C: (g, 2t), (g, 2t+1), (g+8, 2t), (g+8, 2t+1)                     [row, column]
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/device.h"

namespace espalier::cuda {

/// Compute capability from which on cards multiply fragments of bf16 numbers.
constexpr int kFragmentsCapability = 80;

/// Two numbers rounded to bf16 in a word, `low` in the lower half.
__device__ inline uint32_t bf16_pair(float low, float high) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  uint32_t word;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  return word;
#else
  return bf16_from_float(low) | uint32_t{bf16_from_float(high)} << 16;
#endif
}

/// c += a b for fragments as above, two bf16 numbers a word.
__device__ inline void multiply_add_bf16(float (&c)[4], const uint32_t (&a)[4],
                                         const uint32_t (&b)[2]) {
#ifdef ESPALIER_CUDA_SHIM
  const uint64_t mine[] = {a[0] | uint64_t{a[1]} << 32, a[2] | uint64_t{a[3]} << 32,
                           b[0] | uint64_t{b[1]} << 32};
  const uint64_t* words = shim::warp_exchange_words(kAllLanes, mine, 3);
  const auto half = [&](unsigned lane, unsigned word, unsigned part) {
    const uint64_t bits = words[size_t{lane} * 16 + word / 2] >> (32 * (word % 2) + 16 * part);
    return float_from_bf16(static_cast<uint16_t>(bits));
  };
  const unsigned lane = shim::current().lane;
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned row = lane / 4;
    const unsigned column = 2 * (lane % 4) + i % 2;
    for (unsigned k = 0; k < 16; ++k) {
      const float left = half(row * 4 + k % 8 / 2, i / 2 + k / 8 * 2, k % 2);
      c[i] += left * half(column * 4 + k % 8 / 2, 4 + k / 8, k % 2);
    }
  }
#elif __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};\n"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  __trap();
#endif
}

/// Four 8 x 8 matrices of 16-bit numbers from shared memory: lane l names row l % 8 of matrix l /
/// 8, 16 aligned bytes. Word i of lane l are elements (l / 4, 2 (l % 4)..) of matrix i, or with
/// kTransposed of its transpose.
template <bool kTransposed>
__device__ inline void load_matrices(uint32_t (&words)[4], const void* row) {
#ifdef ESPALIER_CUDA_SHIM
  const uint64_t* rows =
      shim::warp_exchange(kAllLanes, static_cast<uint64_t>(reinterpret_cast<uintptr_t>(row)));
  const unsigned lane = shim::current().lane;
  for (unsigned i = 0; i < 4; ++i) {
    const auto element = [&](unsigned r, unsigned column) {
      const auto address = static_cast<uintptr_t>(rows[size_t{8 * i + r} * 16]);
      return uint32_t{reinterpret_cast<const uint16_t*>(address)[column]};
    };
    const unsigned major = lane / 4;
    const unsigned minor = 2 * (lane % 4);
    words[i] = kTransposed ? element(minor, major) | element(minor + 1, major) << 16
                           : element(major, minor) | element(major, minor + 1) << 16;
  }
#elif __CUDA_ARCH__ >= 750
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  if constexpr (kTransposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];\n"
                 : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
                 : "r"(address)
                 : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];\n"
                 : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
                 : "r"(address)
                 : "memory");
  }
#endif
}

}  // namespace espalier::cuda
