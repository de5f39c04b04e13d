// Weights stored in 16 bits, read as f32.
#pragma once

#include <cstddef>
#include <cstdint>

#include "binding/core/dtype.h"

namespace espalier::cpu {

/// The address of element `index` of weights of type `dtype`.
inline const void* weight_at(const void* data, DType dtype, int64_t index) {
  return static_cast<const std::byte*>(data) + static_cast<size_t>(index) * size_of(dtype);
}

/// target[i] = source[i] for `count` f32, bf16 or f16 elements, exact; one thread.
void widen(const void* source, DType dtype, int64_t count, float* target);

/// widen() split over the OpenMP team.
void widen_parallel(const void* source, DType dtype, int64_t count, float* target);

}  // namespace espalier::cpu
