// The order in which a backend's work reaches its device.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <new>
#include <string>
#include <type_traits>
#include <vector>

#include "binding/core/status.h"

namespace espalier::cuda {

/// A stream that learns what comes again. Outside a region, work is queued at once. In a region it
/// is written down as well, in pieces; a piece that begins as it did the last time is held back,
/// and once it is complete it is launched as one graph, with the arguments of this time. What does
/// not come as before is queued one by one: results never depend on it. Used on the dispatcher
/// thread, but for allocate and free.
class WorkQueue {
 public:
  WorkQueue() = default;
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;
  ~WorkQueue();

  /// Makes the stream. Without `graphs` every region is queued as what lies outside of one.
  Status start(bool graphs);
  /// The stream itself, for work that cannot be written down; what is held back is queued first.
  operator cudaStream_t();
  /// Queues what is held back.
  void queue_now();
  /// Queues `call`, a copyable object without resources whose queue(stream) does it. `what` tells
  /// kinds of work apart, as the function of a kernel does.
  template <class Call>
  Status add(const void* what, const Call& call);
  /// cudaMallocAsync for work that is added from now on. Any thread.
  cudaError_t allocate(void** data, size_t bytes) { return cudaMallocAsync(data, bytes, stream_); }
  /// Gives a block of cudaMallocAsync back behind all work that was added. Any thread.
  void free(void* data);
  /// What queueing work that was held back failed with, for good: its tensors look computed.
  [[nodiscard]] const Status& failure() const { return failure_; }

  /// See Backend.
  Status begin_region(const std::string& key);
  /// See Backend.
  Status end_region();

 private:
  using Queue = Status(const void* call, cudaStream_t stream);
  struct Work {
    const void* what;
    size_t arguments;  // place in the piece's arguments
    Queue* queue;
  };
  struct Piece {
    std::vector<Work> works;
    std::vector<std::byte> arguments;
    cudaGraphExec_t graph = nullptr;
    bool current = false;  // the graph does these works with these arguments
    int refusals = 0;      // times that no graph could be made
  };
  struct Region {
    std::vector<Piece> pieces;
    uint64_t begun = 0;  // when, in regions
  };

  Status added();
  Status queue_held();
  Status finish_piece();
  void open_piece();
  bool launch_graph(Piece& last);
  bool make_graph(Piece& last);
  void hold();
  void let_go();
  void forget_old_regions();
  static void drop(Region& region);

  cudaStream_t stream_ = nullptr;
  cudaStream_t capture_stream_ = nullptr;  // never runs anything
  bool enabled_ = false;
  Status failure_;

  std::map<std::string, Region> regions_;
  uint64_t regions_begun_ = 0;
  Region* region_ = nullptr;  // the open one
  size_t piece_ = 0;          // of the open region
  Piece now_;                 // what has been added to it this time
  bool holding_ = false;      // nothing of it has been queued yet

  std::mutex freeing_;
  bool held_ = false;         // work is held back that may use blocks of freed_
  std::vector<void*> freed_;  // behind the work that is held back
};

/// Queues a call, or writes it down.
template <class Call>
Status WorkQueue::add(const void* what, const Call& call) {
  static_assert(std::is_trivially_destructible_v<Call> && alignof(Call) <= alignof(max_align_t));
  if (!failure_.ok()) return failure_;
  if (region_ == nullptr) return call.queue(stream_);
  constexpr size_t kAlignment = alignof(max_align_t);
  const size_t place = (now_.arguments.size() + kAlignment - 1) / kAlignment * kAlignment;
  now_.arguments.resize(place + sizeof(Call));
  new (now_.arguments.data() + place) Call(call);
  now_.works.push_back({what, place, [](const void* recorded, cudaStream_t stream) {
                          return static_cast<const Call*>(recorded)->queue(stream);
                        }});
  return added();
}

}  // namespace espalier::cuda
