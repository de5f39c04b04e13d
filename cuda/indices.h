// Checks of index tensors, whose values exist only on the device.
#pragma once

#include <cstdint>

#include "cuda/cuda_backend.h"

namespace espalier::cuda {

/// Calls `body` with the typed pointer of an i32 or i64 tensor.
template <class Body>
auto with_index_type(const ConstView& indices, Body&& body) {
  if (indices.dtype == DType::i64) return body(indices.as<int64_t>());
  return body(indices.as<int32_t>());
}

/// SHAPE unless every element of the i32 or i64 tensor lies in [0, limit), or is `also_allowed`.
/// Waits for the device.
Status check_indices(CudaBackend& backend, const char* name, const ConstView& indices,
                     int64_t limit, const int64_t* also_allowed = nullptr);

/// check_indices, and SHAPE unless each i32 element is larger than the one before it.
Status check_increasing(CudaBackend& backend, const char* name, const ConstView& indices,
                        int64_t limit);

/// SHAPE unless the i32 `permutation` holds each of 0 … rows - 1 once. Waits for the device.
Status check_permutation(CudaBackend& backend, const ConstView& permutation, int64_t rows);

}  // namespace espalier::cuda
