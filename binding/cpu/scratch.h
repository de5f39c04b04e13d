// Temporary memory of a kernel.
#pragma once

#include <cstddef>

#include "binding/core/memory_pool.h"
#include "binding/cpu/cpu_backend.h"

namespace espalier::cpu {

/// An uninitialised array of `count` elements from the CPU pool, returned when it goes out of
/// scope. `data()` is null when memory ran out: the kernel then returns out_of_scratch().
template <class T>
class Scratch {
 public:
  /// Takes memory for `count` elements.
  explicit Scratch(size_t count)
      : bytes_(count * sizeof(T)),
        data_(static_cast<T*>(cpu_device().pool().allocate(bytes_ == 0 ? 1 : bytes_))) {}
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    if (data_ != nullptr) cpu_device().pool().release(data_, bytes_ == 0 ? 1 : bytes_);
  }

  /// First element, or null.
  [[nodiscard]] T* data() const { return data_; }

 private:
  size_t bytes_;
  T* data_;
};

/// The failure to return when a Scratch has no data.
inline Status out_of_scratch() {
  return {ErrorCode::out_of_memory, "the host has no memory left for temporaries"};
}

}  // namespace espalier::cpu
