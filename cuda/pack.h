// Several neighbouring elements that move in one access of at most 16 bytes.
#pragma once

#include <cstdint>
#include <type_traits>

#include "cuda/device.h"

namespace espalier::cuda {

/// `kCount` elements, aligned for one access, or for accesses of 16 bytes where they are more.
template <class T, int kCount>
struct alignas(sizeof(T) * kCount < 16 ? sizeof(T) * kCount : 16) Pack {
  T value[kCount];  ///< in the order of memory
};

/// Reads `kCount` elements at an aligned address.
template <int kCount, class T>
__device__ inline Pack<T, kCount> load_pack(const T* address) {
  return *reinterpret_cast<const Pack<T, kCount>*>(address);
}

/// Writes a pack to an aligned address.
template <class T, int kCount>
__device__ inline void store_pack(T* address, const Pack<T, kCount>& pack) {
  *reinterpret_cast<Pack<T, kCount>*>(address) = pack;
}

/// factor · pack in f32, rounded to To; the same bits when the type stays and the factor is 1.
template <class To, class From, int kCount>
__device__ inline Pack<To, kCount> convert_pack(const Pack<From, kCount>& pack,
                                                float factor = 1.0F) {
  if constexpr (std::is_same_v<To, From>) {
    if (factor == 1.0F) return pack;
  }
  Pack<To, kCount> result;
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    result.value[i] = from_float<To>(to_float(pack.value[i]) * factor);
  }
  return result;
}

/// Whether rows of `width` elements, one after the other at `data`, consist of aligned packs.
template <int kCount, class T>
bool in_packs(int64_t width, const T* data) {
  return width % kCount == 0 &&
         reinterpret_cast<uintptr_t>(data) % alignof(Pack<std::remove_cv_t<T>, kCount>) == 0;
}

}  // namespace espalier::cuda
