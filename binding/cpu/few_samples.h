// Masked products of few samples.
#pragma once

#include <cstdint>

#include "binding/core/op_arguments.h"
#include "binding/core/status.h"
#include "binding/cpu/pack_weight.h"

namespace espalier::cpu {

/// Most samples for which reading the weights in place beats packing them.
constexpr int64_t kFewSamples = 12;

/// The masked product of `a` with `row_count` kept rows (`rows` null: all) and a selection of
/// columns, for at most kFewSamples samples. Fails with OUT_OF_MEMORY.
Status few_samples(const MaskedMatmulArguments& a, const int32_t* rows, int64_t row_count,
                   const ColumnSelection& columns);

}  // namespace espalier::cpu
