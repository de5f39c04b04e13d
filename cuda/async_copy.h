// Copies from global to shared memory that go on while the thread does: cp.async from sm_80 on,
// plain copies before and on the host.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <cstring>

namespace espalier::cuda {

/// Begins to copy 16 bytes between addresses that are multiples of 16; from byte `bytes` (0 to 16)
/// on nothing is read and zeros are written.
__device__ inline void copy_async(void* shared, const void* global, int bytes) {
#ifdef ESPALIER_CUDA_SHIM
  unsigned char block[16] = {};
  std::memcpy(block, global, static_cast<size_t>(bytes));
  std::memcpy(shared, block, sizeof(block));
#elif __CUDA_ARCH__ >= 800
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(address), "l"(global),
               "r"(bytes)
               : "memory");
#else
  alignas(16) unsigned char block[16] = {};
  for (int i = 0; i < bytes; ++i) block[i] = static_cast<const unsigned char*>(global)[i];
  *static_cast<uint4*>(shared) = *reinterpret_cast<const uint4*>(block);
#endif
}

/// Ends a group: the copies that this thread began since the last one.
__device__ inline void end_copy_group() {
#if !defined(ESPALIER_CUDA_SHIM) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;\n" ::: "memory");
#endif
}

/// Waits until at most the last `kGroups` groups of this thread are under way. Other threads see
/// the bytes after a barrier.
template <int kGroups>
__device__ inline void wait_copy_groups() {
#if !defined(ESPALIER_CUDA_SHIM) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;\n" ::"n"(kGroups) : "memory");
#endif
}

}  // namespace espalier::cuda
