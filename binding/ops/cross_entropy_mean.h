// The training loss of a language model with its gradients, without all of its logits in memory.
#pragma once

#include "binding/ops/cross_entropy.h"

namespace espalier::ops {

/// What the op makes besides the loss.
struct CrossEntropyGradients {
  bool hidden = false;
  bool weight = false;
  bool bias = false;
};

/// The mean loss, and the gradients of it that were wanted.
struct CrossEntropyMean {
  Tensor loss;            ///< f32 []
  OptionalTensor hidden;  ///< f32 [N, D]
  OptionalTensor weight;  ///< f32 [V, D]
  OptionalTensor bias;    ///< f32 [V]
};

/// Mean of cross_entropy over the targets that are not ignore_index (0 without any, with zero
/// gradients). Arguments and errors as there; a chunk of 0 is at most 64 MiB of logits, 256 on a
/// GPU.
CrossEntropyMean cross_entropy_mean(const Tensor& hidden, const Tensor& w, const Tensor& targets,
                                    const CrossEntropyOptions& options,
                                    const CrossEntropyGradients& wanted);

/// The mean loss of given logits, and their gradient when wanted.
struct SoftmaxCrossEntropy {
  Tensor loss;              ///< f32 []
  OptionalTensor gradient;  ///< f32 [N, C]
};

/// Mean over the labels (i32/i64 [N]) that are not ignore_index of logsumexp(z) - z[label], with z
/// a row of logits (f32 [N, C]); 0 without any. Throws DTYPE, SHAPE, DEVICE_MISMATCH; a label
/// outside [0, C) fails the read with SHAPE.
SoftmaxCrossEntropy softmax_cross_entropy(const Tensor& logits, const Tensor& labels,
                                          int64_t ignore_index, bool gradient_wanted);

}  // namespace espalier::ops
