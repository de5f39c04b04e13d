// Attention with bf16 products, for cards from kFragmentsCapability on.
#pragma once

#include "cuda/attention_problem.h"

namespace espalier::cuda {

/// Queues the result of attention, whose sizes are checked.
Status attention_bf16(CudaBackend& backend, const AttentionArguments& arguments,
                      const AttentionProblem& p);

}  // namespace espalier::cuda
