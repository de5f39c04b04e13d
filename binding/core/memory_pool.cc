#include "binding/core/memory_pool.h"

#include <algorithm>
#include <bit>
#include <new>

#include "binding/core/backend.h"

namespace espalier {

// Blocks are rounded so that nearly equal sizes can share: to an eighth of the next lower power of
// two, at least 64 bytes. The waste is at most one eighth.
size_t MemoryPool::block_size(size_t bytes) const {
  if (exact_) return bytes;
  const size_t step = std::max<size_t>(64, std::bit_floor(bytes) / 8);
  return (bytes + step - 1) / step * step;
}

void* MemoryPool::allocate(size_t bytes) {
  if (bytes > SIZE_MAX / 2) return nullptr;
  const size_t rounded = block_size(bytes);
  const std::lock_guard lock(mutex_);
  void* data = nullptr;
  if (const auto found = free_.find(rounded); found != free_.end() && !found->second.empty()) {
    data = found->second.back();
    found->second.pop_back();
    statistics_.cached -= rounded;
  } else {
    data = backend_.allocate(rounded);
    if (data == nullptr && statistics_.cached > 0) {
      trim_locked(0);
      data = backend_.allocate(rounded);
    }
  }
  if (data == nullptr) return nullptr;
  statistics_.in_use += rounded;
  statistics_.peak = std::max(statistics_.peak, statistics_.in_use);
  return data;
}

void MemoryPool::release(void* data, size_t bytes) {
  const size_t rounded = block_size(bytes);
  std::unique_lock lock(mutex_);
  statistics_.in_use -= rounded;
  if (rounded > cache_limit_) {
    // Returning much memory takes long; other threads shall not wait for it.
    lock.unlock();
    backend_.deallocate(data, rounded);
    return;
  }
  if (statistics_.cached + rounded > cache_limit_) trim_locked(cache_limit_ - rounded);
  try {
    free_[rounded].push_back(data);
    statistics_.cached += rounded;
  } catch (const std::bad_alloc&) {
    backend_.deallocate(data, rounded);
  }
}

void MemoryPool::trim(size_t keep) {
  const std::lock_guard lock(mutex_);
  trim_locked(keep);
}

void MemoryPool::trim_locked(size_t keep) {
  // Largest first: they free the most for the fewest calls.
  for (auto entry = free_.rbegin(); entry != free_.rend() && statistics_.cached > keep; ++entry) {
    while (!entry->second.empty() && statistics_.cached > keep) {
      backend_.deallocate(entry->second.back(), entry->first);
      entry->second.pop_back();
      statistics_.cached -= entry->first;
    }
  }
  std::erase_if(free_, [](const auto& entry) { return entry.second.empty(); });
}

void MemoryPool::set_cache_limit(size_t bytes) {
  const std::lock_guard lock(mutex_);
  cache_limit_ = bytes;
  trim_locked(bytes);
}

MemoryStatistics MemoryPool::statistics() {
  const std::lock_guard lock(mutex_);
  return statistics_;
}

void MemoryPool::reset_peak() {
  const std::lock_guard lock(mutex_);
  statistics_.peak = statistics_.in_use;
}

}  // namespace espalier
