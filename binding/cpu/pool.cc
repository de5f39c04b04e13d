// From a sequence to one vector: the mean of the tokens under a mask, or one token; and back.
// x: [B, T, D] f32; mask: [B, T] u8; index: [B] i32 or i64; y: [B, D] f32. Sums are f32, in the
// order of the tokens.
#include <algorithm>

#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/indices.h"

namespace espalier::cpu {
namespace {

// 1 / (number of tokens under the mask), 0 without any.
float share(const uint8_t* mask, int64_t tokens) {
  const auto ones = tokens - std::count(mask, mask + tokens, uint8_t{0});
  return ones == 0 ? 0.0F : static_cast<float>(1.0 / static_cast<double>(ones));
}

}  // namespace

Status CpuBackend::mean_pool(const MeanPoolArguments& arguments) {
  const int64_t batch = arguments.x.shape[0];
  const int64_t tokens = arguments.x.shape[1];
  const int64_t width = arguments.x.shape[2];
#pragma omp parallel for schedule(static) if (arguments.x.shape.elements() > 65536)
  for (int64_t b = 0; b < batch; ++b) {
    const uint8_t* mask = arguments.mask.as<uint8_t>() + b * tokens;
    float* y = arguments.output.as<float>() + b * width;
    std::fill_n(y, width, 0.0F);
    for (int64_t t = 0; t < tokens; ++t) {
      if (mask[t] == 0) continue;
      const float* x = arguments.x.as<float>() + (b * tokens + t) * width;
      for (int64_t i = 0; i < width; ++i) y[i] += x[i];
    }
    const float factor = share(mask, tokens);
    for (int64_t i = 0; i < width; ++i) y[i] *= factor;
  }
  return {};
}

Status CpuBackend::mean_pool_backward(const MeanPoolBackwardArguments& arguments) {
  const int64_t batch = arguments.output.shape[0];
  const int64_t tokens = arguments.output.shape[1];
  const int64_t width = arguments.output.shape[2];
#pragma omp parallel for schedule(static) if (arguments.output.shape.elements() > 65536)
  for (int64_t b = 0; b < batch; ++b) {
    const uint8_t* mask = arguments.mask.as<uint8_t>() + b * tokens;
    const float* dy = arguments.gradient.as<float>() + b * width;
    const float factor = share(mask, tokens);
    for (int64_t t = 0; t < tokens; ++t) {
      float* dx = arguments.output.as<float>() + (b * tokens + t) * width;
      for (int64_t i = 0; i < width; ++i) dx[i] = mask[t] == 0 ? 0.0F : dy[i] * factor;
    }
  }
  return {};
}

Status CpuBackend::select_token(const SelectTokenArguments& arguments) {
  const int64_t tokens = arguments.x.shape[1];
  const int64_t width = arguments.x.shape[2];
  Status status = check_indices("index", arguments.index, tokens);
  if (!status.ok()) return status;
  with_index_type(arguments.index, [&](const auto* index) {
    for (int64_t b = 0; b < arguments.x.shape[0]; ++b) {
      std::copy_n(arguments.x.as<float>() + (b * tokens + index[b]) * width, width,
                  arguments.output.as<float>() + b * width);
    }
  });
  return {};
}

Status CpuBackend::select_token_backward(const SelectTokenBackwardArguments& arguments) {
  const int64_t tokens = arguments.output.shape[1];
  const int64_t width = arguments.output.shape[2];
  Status status = check_indices("index", arguments.index, tokens);
  if (!status.ok()) return status;
  if (status = clear(arguments.output); !status.ok()) return status;
  with_index_type(arguments.index, [&](const auto* index) {
    for (int64_t b = 0; b < arguments.output.shape[0]; ++b) {
      std::copy_n(arguments.gradient.as<float>() + b * width, width,
                  arguments.output.as<float>() + (b * tokens + index[b]) * width);
    }
  });
  return {};
}

}  // namespace espalier::cpu
