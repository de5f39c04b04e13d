// Gradients of RMS and layer normalisation.
#pragma once

#include "binding/ops/submit.h"

namespace espalier::ops {

/// Which gradients of parameters norm_backward computes beside that of x.
struct NormWanted {
  bool weight = true;
  bool bias = false;
};

/// Result of norm_backward: gradients of what was normalised, of the weight and of the bias.
struct NormGradients {
  Tensor x;
  OptionalTensor weight;
  OptionalTensor bias;
};

/// Gradients of y = (x - μ) / sqrt(mean((x - μ)²) + epsilon) ∘ weight (+ bias) over the last
/// dimension, with μ = mean(x) when centred (layer normalisation), 0 otherwise (RMS normalisation).
/// gradient (of y), x f32 [..., D]; weight f32/bf16/f16 [D]; upstream f32 like x is added to the
/// gradient of x (what else flowed into it). Results f32.
/// NaN and infinity reach their row and the gradients of the parameters. Throws DTYPE, SHAPE,
/// CONFIG (epsilon), DEVICE_MISMATCH.
NormGradients norm_backward(const Tensor& gradient, const Tensor& x, const Tensor& weight,
                            double epsilon, bool centred, const OptionalTensor& upstream,
                            NormWanted wanted);

}  // namespace espalier::ops
