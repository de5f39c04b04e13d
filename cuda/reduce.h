// The second stage of sums: many blocks leave one number each, one block adds those up.
#pragma once

#include <cstdint>

#include "cuda/cuda_backend.h"
#include "cuda/device.h"
#include "cuda/launch.h"

namespace espalier::cuda {

/// finish_sum's device code: one block.
template <class T, class Finish>
__global__ void finish_sum_kernel(const T* partial, int64_t count, Finish finish) {
  __shared__ double scratch[32];
  double sum = 0;
  for (int64_t i = threadIdx.x; i < count; i += blockDim.x) sum += static_cast<double>(partial[i]);
  sum = block_sum(sum, scratch);
  if (threadIdx.x == 0) finish(sum);
}

/// Queues finish(Σ partial), in f64 and in an order that depends on `count` only; `finish` runs in
/// one device thread.
template <class T, class Finish>
Status finish_sum(const CudaBackend& backend, const T* partial, int64_t count, Finish finish) {
  return launch(finish_sum_kernel<T, Finish>, {.blocks = 1, .threads = 512}, backend.stream(),
                partial, count, finish);
}

}  // namespace espalier::cuda
