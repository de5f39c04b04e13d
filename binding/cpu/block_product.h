// Products of many rows with weights that fit the second cache, as those of small models.
#pragma once

#include <cstdint>
#include <span>

#include "binding/core/status.h"
#include "binding/core/tensor.h"

namespace espalier::cpu {

/// y = x Wᵀ, or y += x Wᵀ: weight [N, K] f32, bf16 or f16; y [rows, N].
struct WeightProduct {
  ConstView weight;
  float* y = nullptr;
  bool accumulate = false;
};

/// Whether multiply_blocks() is the faster way for `rows` rows and a weight of these sizes; the
/// number of threads has a say.
bool suits_blocks(int64_t rows, int64_t n, int64_t k);

/// Every product with x [rows, K]. The number of threads does not change the bits. Fails with
/// OUT_OF_MEMORY.
Status multiply_blocks(const float* x, int64_t rows, std::span<const WeightProduct> products);

}  // namespace espalier::cpu
