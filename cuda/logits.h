// Logits of a classifier, some rows at a time.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cuda/product.h"

namespace espalier::cuda {

/// Rows of logits to hold at once: `asked`, or for 0 as many as 256 MiB take. Each chunk reads the
/// whole weight, so that chunks as small as the CPU's would be bound by that.
inline int64_t logits_chunk(int64_t asked, int64_t rows, int64_t vocabulary) {
  constexpr int64_t kBytes = int64_t{256} << 20;
  const int64_t row_bytes = std::max<int64_t>(1, vocabulary) * int64_t{sizeof(float)};
  const int64_t wanted = asked > 0 ? asked : kBytes / row_bytes;
  return std::min(rows, std::max<int64_t>(1, wanted));
}

/// Queues logits = hidden weightᵀ + bias for rows [start, start + count) of a.hidden; a: the
/// arguments of an op with hidden, weight, bias and products.
template <class Arguments>
Status make_logits(CudaBackend& backend, const Arguments& a, int64_t start, int64_t count,
                   float* logits) {
  const int64_t width = a.hidden.shape[1];
  const int64_t vocabulary = a.weight.shape[0];
  return multiply(
      backend,
      {.m = count,
       .n = vocabulary,
       .k = width,
       .a = {.data = a.hidden.template as<float>() + start * width,
             .dtype = DType::f32,
             .stride = width},
       .b = {.data = a.weight.data, .dtype = a.weight.dtype, .stride = width, .transposed = true},
       .c = logits,
       .c_stride = vocabulary,
       .bias = a.bias,
       .products = a.products});
}

}  // namespace espalier::cuda
