// Attention and its gradient with bf16 products, for cards from kFragmentsCapability on.
#pragma once

#include "cuda/attention_gradient.h"
#include "cuda/attention_problem.h"

namespace espalier::cuda {

/// Queues the result of attention, whose sizes are checked.
Status attention_bf16(CudaBackend& backend, const AttentionArguments& arguments,
                      const AttentionProblem& p);

/// Queues the gradients of attention; δ of `arrays` is queued already.
Status attention_backward_bf16(CudaBackend& backend, const AttentionProblem& p,
                               const BackwardArrays& arrays, float scale);

}  // namespace espalier::cuda
