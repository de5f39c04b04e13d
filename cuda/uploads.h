// Copies of weights to the GPU beside its computation.
#pragma once

#include <cuda_runtime.h>

#include <array>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

#include "binding/core/mark.h"
#include "binding/core/status.h"

namespace espalier::cuda {

/// A thread that copies host memory into a ring of pinned memory, and a stream that copies the ring
/// to the device, so that neither the dispatcher nor the stream of kernels waits for a file. Used
/// on the dispatcher thread.
class Uploads {
 public:
  /// For device `ordinal`; takes nothing yet.
  explicit Uploads(int ordinal) : ordinal_(ordinal) {}
  Uploads(const Uploads&) = delete;
  Uploads& operator=(const Uploads&) = delete;
  ~Uploads();

  /// Takes pinned memory, a stream and a thread, unless it has them; false when it cannot.
  bool start();
  /// Queues a copy behind what `stream` has queued so far. `source` is read while `owner` is held.
  Status queue(cudaStream_t stream, void* target, const void* source, size_t bytes,
               std::shared_ptr<const void> owner, std::unique_ptr<Mark>& arrival);
  /// Lets later work of `stream` wait for a copy. Waits until the copy has been given to the
  /// device.
  static Status await(cudaStream_t stream, const Mark& arrival);

 private:
  struct Event;
  struct Arrival;
  struct ArrivalMark;
  struct Job {
    std::byte* target;
    const std::byte* source;
    size_t bytes;
    std::shared_ptr<const void> owner;
    std::shared_ptr<Event> after;
    std::shared_ptr<Arrival> arrival;
  };
  struct Slot {
    std::byte* data = nullptr;
    cudaEvent_t free = nullptr;  // passed when the device has read the slot
  };

  void loop();
  Status copy(const Job& job);

  int ordinal_;
  cudaStream_t stream_ = nullptr;
  std::array<Slot, 4> slots_{};
  size_t next_slot_ = 0;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> jobs_;
  bool ending_ = false;
};

}  // namespace espalier::cuda
