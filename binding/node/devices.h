// The devices of this process by name.
#pragma once

#include <string>
#include <vector>

#include "binding/core/device.h"

namespace espalier::node {

/// The device called "cpu", or one that open_cuda has made ("cuda:0"). Throws Error
/// DEVICE_UNAVAILABLE naming `op` for any other.
Device& device_named(const char* op, const std::string& name);

/// All devices made so far, the CPU first.
std::vector<Device*> devices();

/// The device "cuda:<ordinal>" of the backend library at `path`, made on the first call; every
/// environment of the process shares it, and a later call with another path is refused. Nothing
/// touches the GPU yet. Throws Error DEVICE_UNAVAILABLE with the reason.
Device& open_cuda(const std::string& path, int ordinal);

}  // namespace espalier::node
