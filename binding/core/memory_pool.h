// Recycling allocator in front of a backend's raw memory.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <vector>

#include "binding/core/memory.h"

namespace espalier {

class Backend;

/// What a pool holds, in bytes.
struct MemoryStatistics {
  size_t in_use = 0;  ///< handed out now
  size_t cached = 0;  ///< kept for reuse
  size_t peak = 0;    ///< highest in_use since the last reset
};

/// Hands out 64-byte aligned blocks and keeps freed ones for reuse up to a limit, because fresh
/// pages cost a fault and a clearing each, and on a GPU a call of the driver. A block is reused in
/// the order of the stream: what is queued later gets it, after the work that still uses it.
/// Thread-safe: buffers can die on any thread.
class MemoryPool final : public Memory {
 public:
  /// Bytes that a pool keeps unless told otherwise.
  static constexpr size_t kDefaultCacheLimit = size_t{256} << 20;
  /// A pool over `backend`'s allocate and deallocate that keeps `cache_limit` bytes; one that keeps
  /// nothing from the start hands out blocks of the exact size, for tests with guards around them.
  explicit MemoryPool(Backend& backend, size_t cache_limit = kDefaultCacheLimit)
      : backend_(backend), exact_(cache_limit == 0), cache_limit_(cache_limit) {}

  /// Null when the device has no more even after the cached blocks were given back.
  void* allocate(size_t bytes) override;
  void release(void* data, size_t bytes) override;
  /// Gives cached blocks back to the device until at most `keep` bytes stay.
  void trim(size_t keep);
  /// Sets how many bytes may stay cached and trims to it.
  void set_cache_limit(size_t bytes);
  /// Current figures.
  MemoryStatistics statistics();
  /// Starts a new peak measurement from what is in use now.
  void reset_peak();

 private:
  [[nodiscard]] size_t block_size(size_t bytes) const;
  void trim_locked(size_t keep);

  Backend& backend_;
  const bool exact_;
  std::mutex mutex_;
  std::map<size_t, std::vector<void*>> free_;  // by rounded size
  MemoryStatistics statistics_;
  size_t cache_limit_;
};

}  // namespace espalier
