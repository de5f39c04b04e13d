// Temporary device memory of an op.
#pragma once

#include <cstddef>

#include "cuda/cuda_backend.h"

namespace espalier::cuda {

/// An uninitialised device array of `count` elements from the pool that tensors come from, given
/// back in stream order when it goes out of scope: a step that is repeated asks the driver for
/// nothing. `data()` is null when memory ran out: the op then returns out_of_scratch().
template <class T>
class Scratch {
 public:
  /// Takes memory for `count` elements.
  Scratch(CudaBackend& backend, size_t count)
      : memory_(backend.memory()),
        bytes_((count == 0 ? 1 : count) * sizeof(T)),
        data_(static_cast<T*>(memory_.allocate(bytes_))) {}
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    if (data_ != nullptr) memory_.release(data_, bytes_);
  }

  /// First element, or null.
  [[nodiscard]] T* data() const { return data_; }

 private:
  Memory& memory_;
  size_t bytes_;
  T* data_;
};

/// The failure to return when a Scratch has no data.
inline Status out_of_scratch() {
  return {ErrorCode::out_of_memory, "the GPU has no memory left for temporaries"};
}

}  // namespace espalier::cuda
