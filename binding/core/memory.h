// Where a backend's ops take temporary memory from.
#pragma once

#include <cstddef>

namespace espalier {

/// Memory of one device, as its tensors have it too.
class Memory {
 public:
  virtual ~Memory() = default;
  /// At least `bytes` uninitialised bytes aligned to 64; null when the device has no more.
  virtual void* allocate(size_t bytes) = 0;
  /// Takes back a block of allocate(bytes); work that is queued may still use it.
  virtual void release(void* data, size_t bytes) = 0;
};

}  // namespace espalier
