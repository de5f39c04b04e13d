// Checks of index tensors, whose values exist only once the stream reaches them.
#pragma once

#include <cstdint>
#include <string>

#include "binding/core/status.h"
#include "binding/core/tensor.h"

namespace espalier::cpu {

/// Calls `body` with the typed pointer of an i32 or i64 tensor.
template <class Body>
auto with_index_type(const ConstView& indices, Body&& body) {
  if (indices.dtype == DType::i64) return body(indices.as<int64_t>());
  return body(indices.as<int32_t>());
}

/// SHAPE unless every element of the i32 or i64 tensor lies in [0, limit).
inline Status check_indices(const char* name, const ConstView& indices, int64_t limit) {
  return with_index_type(indices, [&](const auto* values) -> Status {
    for (int64_t i = 0; i < indices.shape.elements(); ++i) {
      if (values[i] < 0 || values[i] >= limit) {
        return {ErrorCode::shape, std::string(name) + ": expected indices in [0, " +
                                      std::to_string(limit) + "), got " +
                                      std::to_string(values[i]) + " at " + std::to_string(i)};
      }
    }
    return {};
  });
}

/// check_indices, and SHAPE unless each i32 element is larger than the one before it.
inline Status check_increasing(const char* name, const ConstView& indices, int64_t limit) {
  if (Status status = check_indices(name, indices, limit); !status.ok()) return status;
  const auto* values = indices.as<int32_t>();
  for (int64_t i = 1; i < indices.shape.elements(); ++i) {
    if (values[i] <= values[i - 1]) {
      return {ErrorCode::shape, std::string(name) + ": expected strictly increasing indices, got " +
                                    std::to_string(values[i]) + " after " +
                                    std::to_string(values[i - 1])};
    }
  }
  return {};
}

}  // namespace espalier::cpu
