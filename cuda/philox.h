// Counter-based random words and the dropout masks made of them, bit for bit those of
// binding/cpu/philox.h: element i of a mask is word i mod 4 of Philox4x32-10's block i / 4.
#pragma once

#include <cuda_runtime.h>

#include <cmath>
#include <cstdint>

namespace espalier::cuda {

/// The four words of block `block` under `seed`.
__device__ inline uint4 philox(uint64_t block, uint64_t seed) {
  constexpr uint32_t kM0 = 0xD2511F53U;
  constexpr uint32_t kM1 = 0xCD9E8D57U;
  auto k0 = static_cast<uint32_t>(seed);
  auto k1 = static_cast<uint32_t>(seed >> 32);
  uint4 c = make_uint4(static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), 0, 0);
  for (int round = 0; round < 10; ++round) {
    const uint32_t high0 = __umulhi(kM0, c.x);
    const uint32_t high1 = __umulhi(kM1, c.z);
    c = make_uint4(high1 ^ c.y ^ k0, kM1 * c.z, high0 ^ c.w ^ k1, kM0 * c.x);
    k0 += 0x9E3779B9U;
    k1 += 0xBB67AE85U;
  }
  return c;
}

/// Which elements a dropout keeps, and the factor 1 / keep on those.
struct DropoutMask {
  uint64_t seed = 0;             ///< of the words
  uint32_t limit = 0xffffffffU;  ///< largest word of a kept element
  float factor = 1.0F;           ///< on kept elements

  /// A mask that keeps everything.
  DropoutMask() = default;
  /// A mask that drops each element with `probability` in [0, 1).
  DropoutMask(double probability, uint64_t mask_seed)
      : seed(mask_seed),
        limit(static_cast<uint32_t>(std::ceil((1 - probability) * 0x1p32) - 1)),
        factor(static_cast<float>(1 / (1 - probability))) {}

  /// True when no element can be dropped.
  [[nodiscard]] __host__ __device__ bool keeps_all() const { return limit == 0xffffffffU; }
  /// value times the mask's element of a block's word; a dropped element is 0 whatever it was.
  [[nodiscard]] __device__ float apply(float value, uint32_t word) const {
    return word <= limit ? value * factor : 0.0F;
  }
  /// values of four elements from number `start` on, any start, times the mask's.
  [[nodiscard]] __device__ float4 apply(float4 values, uint64_t start) const {
    const uint4 first = philox(start / 4, seed);
    const auto offset = static_cast<unsigned>(start % 4);
    if (offset == 0) return apply(values, first);
    const uint4 second = philox(start / 4 + 1, seed);
    if (offset == 1) return apply(values, make_uint4(first.y, first.z, first.w, second.x));
    if (offset == 2) return apply(values, make_uint4(first.z, first.w, second.x, second.y));
    return apply(values, make_uint4(first.w, second.x, second.y, second.z));
  }
  /// values of two elements from number `start` on, any start, times the mask's.
  [[nodiscard]] __device__ float2 apply(float2 values, uint64_t start) const {
    const uint4 first = philox(start / 4, seed);
    const auto offset = static_cast<unsigned>(start % 4);
    if (offset == 0) return {apply(values.x, first.x), apply(values.y, first.y)};
    if (offset == 1) return {apply(values.x, first.y), apply(values.y, first.z)};
    if (offset == 2) return {apply(values.x, first.z), apply(values.y, first.w)};
    return {apply(values.x, first.w), apply(values.y, philox(start / 4 + 1, seed).x)};
  }

 private:
  [[nodiscard]] __device__ float4 apply(float4 values, uint4 words) const {
    return make_float4(apply(values.x, words.x), apply(values.y, words.y), apply(values.z, words.z),
                       apply(values.w, words.w));
  }
};

}  // namespace espalier::cuda
