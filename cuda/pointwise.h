// Elementwise kernels over f32 arrays of one size: four elements a thread in 16-byte accesses.
#pragma once

#include "cuda/cuda_backend.h"
#include "cuda/device.h"
#include "cuda/launch.h"

namespace espalier::cuda {

/// What a function with several results returns.
template <int kCount>
struct Values {
  float value[kCount];  ///< one for each output
};

/// Where the results go.
template <int kCount>
struct Outputs {
  float* data[kCount];  ///< one array for each result
};
/// One output for each pointer.
template <class... Pointers>
Outputs(Pointers...) -> Outputs<sizeof...(Pointers)>;

/// The arrays that are read.
template <int kCount>
struct Inputs {
  const float* data[kCount];  ///< one array for each argument
};

/// What a function returned, as an array.
__device__ inline Values<1> as_values(float value) { return {{value}}; }
/// Likewise, for several results.
template <int kCount>
__device__ inline Values<kCount> as_values(Values<kCount> values) {
  return values;
}

/// Computes element i.
template <class Function, int kOutputs, int kInputs, int... kIndex>
__device__ inline void pointwise_element(const Function& function, const Outputs<kOutputs>& outputs,
                                         const Inputs<kInputs>& inputs, int64_t i,
                                         std::integer_sequence<int, kIndex...>) {
  const auto results = as_values(function(inputs.data[kIndex][i]...));
  for (int o = 0; o < kOutputs; ++o) outputs.data[o][i] = results.value[o];
}

/// Computes elements 4i to 4i + 3 of arrays that are aligned to 16 bytes.
template <class Function, int kOutputs, int kInputs, int... kIndex>
__device__ inline void pointwise_four(const Function& function, const Outputs<kOutputs>& outputs,
                                      const Inputs<kInputs>& inputs, int64_t i,
                                      std::integer_sequence<int, kIndex...>) {
  const float4 in[] = {reinterpret_cast<const float4*>(inputs.data[kIndex])[i]...};
  const auto a = as_values(function(in[kIndex].x...));
  const auto b = as_values(function(in[kIndex].y...));
  const auto c = as_values(function(in[kIndex].z...));
  const auto d = as_values(function(in[kIndex].w...));
  for (int o = 0; o < kOutputs; ++o) {
    reinterpret_cast<float4*>(outputs.data[o])[i] =
        make_float4(a.value[o], b.value[o], c.value[o], d.value[o]);
  }
}

/// The kernel of pointwise().
template <class Function, int kOutputs, int kInputs>
__global__ void pointwise_kernel(Function function, Outputs<kOutputs> outputs,
                                 Inputs<kInputs> inputs, int64_t count, bool aligned) {
  constexpr auto kSequence = std::make_integer_sequence<int, kInputs>{};
  const int64_t fours = aligned ? count / 4 : 0;
  for (int64_t i = global_thread(); i < fours; i += global_threads()) {
    pointwise_four(function, outputs, inputs, i, kSequence);
  }
  for (int64_t i = 4 * fours + global_thread(); i < count; i += global_threads()) {
    pointwise_element(function, outputs, inputs, i, kSequence);
  }
}

/// outputs[i] = function(inputs[i]...) for `count` elements; outputs may be inputs.
template <class Function, int kOutputs, class... Arrays>
Status pointwise(const CudaBackend& backend, Function function, Outputs<kOutputs> outputs,
                 int64_t count, const Arrays*... arrays) {
  constexpr int64_t kThreads = 256;
  const Inputs<sizeof...(Arrays)> inputs{{arrays...}};
  uintptr_t bits = 0;
  for (const float* data : inputs.data) bits |= reinterpret_cast<uintptr_t>(data);
  for (const float* data : outputs.data) bits |= reinterpret_cast<uintptr_t>(data);
  return launch(pointwise_kernel<Function, kOutputs, static_cast<int>(sizeof...(Arrays))>,
                {.blocks = blocks_for((count + 3) / 4, kThreads), .threads = kThreads},
                backend.stream(), function, outputs, inputs, count, bits % 16 == 0);
}

}  // namespace espalier::cuda
