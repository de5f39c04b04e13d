// Kernel launches: the one place that differs between a GPU and the host that the tests emulate one
// on.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>
#include <type_traits>

#include "binding/core/status.h"
#include "cuda/work_queue.h"

namespace espalier::cuda {

/// How a kernel is laid out.
struct Grid {
  dim3 blocks;              ///< blocks of the grid
  dim3 threads;             ///< threads of a block
  size_t shared_bytes = 0;  ///< dynamic shared memory of a block
};

/// Turns a runtime error into a Status: OUT_OF_MEMORY, or DEVICE_UNAVAILABLE for what ends the use
/// of the device.
inline Status status_of(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return {};
  const std::string message = std::string(what) + ": " + cudaGetErrorString(error);
  return {
      error == cudaErrorMemoryAllocation ? ErrorCode::out_of_memory : ErrorCode::device_unavailable,
      message};
}

/// A launch with its arguments.
template <class... Parameters>
struct KernelCall {
  void (*kernel)(Parameters...);
  Grid grid;
  std::tuple<Parameters...> arguments;

  /// Queues the kernel.
  Status queue(cudaStream_t stream) const {
#ifdef ESPALIER_CUDA_SHIM
    stream->enqueue(reinterpret_cast<const void*>(kernel), [call = *this] {
      shim::run_grid(call.grid.blocks, call.grid.threads, call.grid.shared_bytes,
                     [&] { std::apply(call.kernel, call.arguments); });
    });
    return {};
#else
    const auto* function = reinterpret_cast<const void*>(kernel);
    // Above 48 KiB a kernel has to ask for its shared memory.
    if (grid.shared_bytes > size_t{48} << 10) {
      const cudaError_t error =
          cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(grid.shared_bytes));
      if (error != cudaSuccess) return status_of(error, "shared memory of a kernel");
    }
    return std::apply(
        [&](const auto&... values) {
          void* pointers[] = {const_cast<void*>(static_cast<const void*>(&values))...};
          return status_of(cudaLaunchKernel(function, grid.blocks, grid.threads, pointers,
                                            grid.shared_bytes, stream),
                           "launch");
        },
        arguments);
#endif
  }
};

/// Queues `kernel` on `stream`; nothing for a grid without blocks.
template <class... Parameters>
Status launch(void (*kernel)(Parameters...), const Grid& grid, WorkQueue& stream,
              std::type_identity_t<Parameters>... arguments) {
  if (grid.blocks.x == 0 || grid.blocks.y == 0 || grid.blocks.z == 0) return {};
  return stream.add(reinterpret_cast<const void*>(kernel),
                    KernelCall<Parameters...>{kernel, grid, {arguments...}});
}

/// Queues the filling of `bytes` bytes of the device with one value.
Status fill_bytes(WorkQueue& stream, void* target, int value, size_t bytes);

/// Queues a copy of `bytes` bytes within the device.
Status copy_bytes(WorkQueue& stream, void* target, const void* source, size_t bytes);

/// The block's dynamic shared memory, aligned to 16 bytes.
template <class T>
__device__ inline T* dynamic_shared() {
#ifdef ESPALIER_CUDA_SHIM
  return reinterpret_cast<T*>(shim::current().dynamic_shared);
#else
  extern __shared__ __align__(16) unsigned char espalier_dynamic_shared[];
  return reinterpret_cast<T*>(espalier_dynamic_shared);
#endif
}

/// Blocks of `threads` that cover `count` elements, at most `limit`: for kernels that stride.
inline dim3 blocks_for(int64_t count, int64_t threads, int64_t limit = int64_t{1} << 16) {
  const int64_t blocks = (count + threads - 1) / threads;
  return {static_cast<unsigned>(blocks < limit ? blocks : limit)};
}

/// Blocks of `threads` along the columns of a matrix, one or more for each row: for kernels that
/// stride both ways, along x over columns and along y over rows.
inline dim3 blocks_for_matrix(int64_t rows, int64_t columns, int64_t threads) {
  constexpr int64_t kMostRows = 65535;
  return {blocks_for(columns, threads).x,
          static_cast<unsigned>(rows < kMostRows ? rows : kMostRows)};
}

}  // namespace espalier::cuda
