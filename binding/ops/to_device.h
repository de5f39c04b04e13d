// Copying a tensor from one device to another.
#pragma once

#include "binding/core/tensor.h"

namespace espalier::ops {

/// The same elements on `device`; `x` itself when it is there already. The copy waits for what
/// computes x on its own device, and neither stream overtakes it.
Tensor to_device(const Tensor& x, Device& device);

}  // namespace espalier::ops
