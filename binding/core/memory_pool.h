// Recycling allocator in front of a backend's raw memory.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <vector>

namespace espalier {

class Backend;

/// What a pool holds, in bytes.
struct MemoryStatistics {
  size_t in_use = 0;  ///< handed out now
  size_t cached = 0;  ///< kept for reuse
  size_t peak = 0;    ///< highest in_use since the last reset
};

/// Hands out 64-byte aligned blocks and keeps freed ones for reuse up to a limit, because fresh
/// pages cost a fault and a clearing each. Thread-safe: buffers can die on any thread.
class MemoryPool {
 public:
  /// A pool over `backend`'s allocate and deallocate.
  explicit MemoryPool(Backend& backend) : backend_(backend) {}

  /// At least `bytes` bytes, uninitialised; null when the device has no more, even after the
  /// cached blocks were given back.
  void* allocate(size_t bytes);
  /// Takes back a block of allocate(bytes).
  void release(void* data, size_t bytes);
  /// Gives cached blocks back to the device until at most `keep` bytes stay.
  void trim(size_t keep);
  /// Sets how many bytes may stay cached (default 256 MiB) and trims to it.
  void set_cache_limit(size_t bytes);
  /// Current figures.
  MemoryStatistics statistics();
  /// Starts a new peak measurement from what is in use now.
  void reset_peak();

 private:
  void trim_locked(size_t keep);

  Backend& backend_;
  std::mutex mutex_;
  std::map<size_t, std::vector<void*>> free_;  // by rounded size
  MemoryStatistics statistics_;
  size_t cache_limit_ = size_t{256} << 20;
};

}  // namespace espalier
