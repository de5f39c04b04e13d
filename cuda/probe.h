// What can be known about the GPU before it is used.
#pragma once

#include "binding/core/backend_library.h"

namespace espalier::cuda {

/// Oldest compute capability that the kernels are compiled for, 10 major + minor.
constexpr int kOldestCapability = 75;

/// Fills in everything but `abi`: score 1 when device 0 can be used, 0 with the reason otherwise.
/// Makes no context.
void probe_device(BackendProbe& probe);

}  // namespace espalier::cuda
