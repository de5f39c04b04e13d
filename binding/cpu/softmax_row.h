// Cross-entropy of one row of logits. The largest logit is subtracted before exp; exponentials are
// f32 and summed in f64.
#pragma once

#include <cstdint>

#include "binding/core/status.h"
#include "binding/core/tensor.h"

namespace espalier::cpu {

/// log Σ exp(z) - z[target] over `count` logits.
float softmax_loss(const float* z, int64_t count, int64_t target);

/// softmax_loss, and z = factor (softmax(z) - one_hot(target)) in place.
float softmax_gradient(float* z, int64_t count, int64_t target, float factor);

/// SHAPE unless every element of the i32 or i64 `targets` (called `name`) lies in [0, classes) or
/// is `ignored`; counts those that are not ignored.
Status check_targets(const char* name, const ConstView& targets, int64_t classes, int64_t ignored,
                     int64_t* counted);

}  // namespace espalier::cpu
