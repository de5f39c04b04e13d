// The last step of losses that are means.
#pragma once

#include <cstdint>

#include "cuda/reduce.h"

namespace espalier::cuda {

/// Writes a sum divided by a count, 0 for none, as f32.
struct StoreMean {
  int64_t counted;  ///< what to divide by
  float* output;    ///< one number

  /// In one device thread.
  __device__ void operator()(double sum) const {
    *output = counted == 0 ? 0.0F : static_cast<float>(sum / static_cast<double>(counted));
  }
};

/// Queues output = Σ losses / counted, 0 when none counts; the sum is f64.
inline Status mean_loss(const CudaBackend& backend, const float* losses, int64_t rows,
                        int64_t counted, float* output) {
  return finish_sum(backend, losses, rows, StoreMean{counted, output});
}

}  // namespace espalier::cuda
