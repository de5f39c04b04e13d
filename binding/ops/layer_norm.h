// Layer normalisation.
#pragma once

#include "binding/ops/submit.h"

namespace espalier::ops {

/// y = (x - mean(x)) / sqrt(var(x) + epsilon) ∘ weight + bias over the last dimension; var is the
/// mean squared deviation. x f32 [..., D]; weight, bias f32/bf16/f16 [D].
/// NaN and infinity propagate within their row. Throws DTYPE, SHAPE, CONFIG (epsilon),
/// DEVICE_MISMATCH. Source: Ba, Kiros & Hinton 2016.
Tensor layer_norm(const Tensor& x, const Tensor& weight, const OptionalTensor& bias,
                  double epsilon);

}  // namespace espalier::ops
