// Devices: a backend, its memory pool and its stream.
#pragma once

#include <memory>
#include <string>

#include "binding/core/backend.h"
#include "binding/core/memory_pool.h"
#include "binding/core/stream.h"

namespace espalier {

/// One place to compute. Devices are made once per process and never destroyed: their dispatcher
/// threads may be inside a kernel while the process exits.
class Device {
 public:
  /// A device called `name` ("cpu", "cuda:0") on top of `backend`.
  Device(std::string name, std::unique_ptr<Backend> backend)
      : Device(std::move(name), std::move(backend), MemoryPool::kDefaultCacheLimit) {}
  /// The same, with a pool that keeps `cache_limit` bytes of freed memory.
  Device(std::string name, std::unique_ptr<Backend> backend, size_t cache_limit)
      : name_(std::move(name)),
        backend_(std::move(backend)),
        pool_(*backend_, cache_limit),
        stream_(*backend_) {
    backend_->use_memory(pool_);
  }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  /// "cpu", "cuda:0".
  [[nodiscard]] const std::string& name() const { return name_; }
  /// The implementation behind the ops; call it from the dispatcher thread.
  [[nodiscard]] Backend& backend() { return *backend_; }
  /// Where tensor memory comes from.
  [[nodiscard]] MemoryPool& pool() { return pool_; }
  /// The in-order queue.
  [[nodiscard]] Stream& stream() { return stream_; }

 private:
  std::string name_;
  std::unique_ptr<Backend> backend_;
  MemoryPool pool_;
  Stream stream_;
};

}  // namespace espalier
