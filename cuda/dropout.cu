// Inverted dropout: y_i = x_i m_i / (1 - p), with the mask m made from the element's position and a
// seed (philox.h), so that the gradient makes the same mask again. A thread takes the four elements
// whose words come from one counter.
#include "cuda/cuda_backend.h"
#include "cuda/launch.h"
#include "cuda/pack.h"
#include "cuda/philox.h"

namespace espalier::cuda {
namespace {

__global__ void dropout_kernel(DropoutMask mask, const float* x, float* output, int64_t count,
                               bool aligned) {
  const int64_t blocks = (count + 3) / 4;
  for (int64_t block = global_thread(); block < blocks; block += global_threads()) {
    const int64_t start = 4 * block;
    const int64_t left = count - start;
    float4 values = make_float4(0, 0, 0, 0);
    if (aligned && left >= 4) {
      values = reinterpret_cast<const float4*>(x)[block];
    } else {
      values.x = x[start];
      if (left > 1) values.y = x[start + 1];
      if (left > 2) values.z = x[start + 2];
      if (left > 3) values.w = x[start + 3];
    }
    values = mask.apply(values, static_cast<uint64_t>(start));
    if (aligned && left >= 4) {
      reinterpret_cast<float4*>(output)[block] = values;
      continue;
    }
    output[start] = values.x;
    if (left > 1) output[start + 1] = values.y;
    if (left > 2) output[start + 2] = values.z;
    if (left > 3) output[start + 3] = values.w;
  }
}

}  // namespace

Status CudaBackend::dropout(const DropoutArguments& a) {
  constexpr int64_t kThreads = 256;
  const int64_t count = a.x.shape.elements();
  const auto* x = a.x.as<float>();
  auto* output = a.output.as<float>();
  return launch(dropout_kernel,
                {.blocks = blocks_for((count + 3) / 4, kThreads), .threads = kThreads}, stream_,
                DropoutMask(a.probability, a.seed), x, output, count,
                in_packs<4>(0, x) && in_packs<4>(0, output));
}

}  // namespace espalier::cuda
