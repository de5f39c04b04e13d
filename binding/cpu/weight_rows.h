// Reading part of a weight's row in f64.
#pragma once

#include <cstdint>

#include "binding/core/dtype.h"
#include "binding/core/tensor.h"

namespace espalier::cpu {

/// target[i] = weight[row, start + i] for i < count; weight f32, bf16 or f16 [rows, columns].
inline void weight_row_to_f64(const ConstView& weight, int64_t row, int64_t start, int64_t count,
                              double* target) {
  const int64_t offset = row * weight.shape.columns() + start;
  if (weight.dtype == DType::f32) {
    const float* source = weight.as<float>() + offset;
    for (int64_t i = 0; i < count; ++i) target[i] = static_cast<double>(source[i]);
  } else if (weight.dtype == DType::bf16) {
    const uint16_t* source = weight.as<uint16_t>() + offset;
    for (int64_t i = 0; i < count; ++i) {
      target[i] = static_cast<double>(float_from_bf16(source[i]));
    }
  } else {
    const uint16_t* source = weight.as<uint16_t>() + offset;
    for (int64_t i = 0; i < count; ++i) {
      target[i] = static_cast<double>(float_from_f16(source[i]));
    }
  }
}

}  // namespace espalier::cpu
