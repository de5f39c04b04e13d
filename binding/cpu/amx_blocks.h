// Products of many rows with small weights in bf16 AMX tiles.
#pragma once

#include <cstdint>
#include <span>

#include "binding/core/status.h"
#include "binding/cpu/block_product.h"

namespace espalier::cpu {

/// Whether multiply_amx_blocks() is the faster way for `rows` rows and a weight of these sizes.
/// False without AMX tiles.
bool suits_amx_blocks(int64_t rows, int64_t n, int64_t k);

/// Every product of x [rows, K], rounded to bf16, with weights [N, K] rounded to bf16; sums are
/// f32. Needs has_amx_bf16(). The number of threads does not change the bits. Fails with
/// OUT_OF_MEMORY.
Status multiply_amx_blocks(const float* x, int64_t rows, std::span<const WeightProduct> products);

}  // namespace espalier::cpu
