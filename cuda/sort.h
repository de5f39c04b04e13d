// Stable sorting of small numbers with their positions.
#pragma once

#include <cstdint>

#include "cuda/cuda_backend.h"

namespace espalier::cuda {

/// Positions of an index tensor's elements, ordered by element and, where those are equal, by
/// position: keys[j] = indices[positions[j]].
struct SortedIndices {
  uint32_t* keys;       ///< [count], ascending
  uint32_t* positions;  ///< [count]
};

/// Queues the stable sort of an i32 or i64 tensor whose elements lie in [0, limit). `sorted` and
/// `spare` are device memory; the returned one of the two holds the result. Radix sort with 8 bits
/// a pass, as many passes as `limit` needs. UNSUPPORTED above 2^32 elements or values.
Status sort_indices(CudaBackend& backend, const ConstView& indices, int64_t limit,
                    const SortedIndices& sorted, const SortedIndices& spare,
                    const SortedIndices** result);

}  // namespace espalier::cuda
