// Cross-entropy of rows of logits, for every op that has them in memory.
#pragma once

#include <cstdint>

#include "cuda/cuda_backend.h"

namespace espalier::cuda {

/// SHAPE unless every element of the i32 or i64 `targets` (called `name`) lies in [0, classes) or
/// is `ignored`; counts those that are not ignored. Waits for the device.
Status check_targets(CudaBackend& backend, const char* name, const ConstView& targets,
                     int64_t classes, int64_t ignored, int64_t* counted);

/// Rows of logits and what is wanted of them.
struct SoftmaxRows {
  const float* logits = nullptr;  ///< [rows, classes]
  int64_t rows = 0;               ///< rows of logits
  int64_t classes = 0;            ///< columns of logits
  ConstView targets;              ///< i32 or i64 [at least first + rows], checked
  int64_t first = 0;              ///< the first row's place in targets
  int64_t ignored = -100;         ///< target of a row without loss and gradient
  float* losses = nullptr;        ///< [rows]: log Σ exp(z) - z[target]
  float* gradient = nullptr;      ///< factor (softmax(z) - one_hot(target)); null, or logits itself
  float factor = 1.0F;            ///< on the gradient
};

/// Queues losses and gradients. Rows are independent of each other: their number changes no bits.
Status softmax_rows(const CudaBackend& backend, const SoftmaxRows& rows);

}  // namespace espalier::cuda
