// Checks of ops that take lists of tensors.
#pragma once

#include <vector>

#include "binding/ops/check.h"
#include "binding/ops/submit.h"

namespace espalier::ops {

/// The list as submit() takes it.
std::vector<OptionalTensor> optional(const std::vector<Tensor>& tensors);

/// CONFIG when the list is empty, DTYPE unless all are f32; messages say "<name>[i]".
void expect_tensors(const char* op, const char* name, const std::vector<Tensor>& tensors);

/// expect_tensors, CONFIG unless there is one per element of `parameters`, and SHAPE unless each
/// has the shape of its parameter.
void expect_like(const char* op, const char* name, const std::vector<Tensor>& tensors,
                 const std::vector<Tensor>& parameters);

}  // namespace espalier::ops
