// The streams of the emulated GPU: who runs when.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "test/cuda/shim/stream.h"

namespace espalier::shim {

class EmulatedStream;

/// Where an event was recorded last, and how far that is.
struct EventState {
  uint64_t recorded = 0;    ///< number of the last cudaEventRecord
  uint64_t completed = 0;   ///< number of the last one that its stream has passed
  int64_t nanoseconds = 0;  ///< when that was
  EmulatedStream* stream = nullptr;
};

/// One piece of captured work.
struct GraphNode {
  const void* what;
  std::function<void()> work;
};

/// A stream. Nothing runs when it is queued: that other streams see it too early, or that it sees
/// others' work too late, then shows as wrong numbers.
class EmulatedStream final : public CudaShimStream {
 public:
  void enqueue(const void* what, std::function<void()> work) override;
  /// Queues work that is never captured, and runs nothing.
  void append(std::function<void()> work);
  void drain() override;
  /// Runs until `event` has completed number `ticket`.
  void run_to(const EventState& event, uint64_t ticket);

  /// The graph that is being captured, or null.
  std::unique_ptr<std::vector<GraphNode>> capture;

 private:
  bool run_one();

  std::deque<std::function<void()>> queue_;
};

/// Makes a stream, which lives as long as the process.
EmulatedStream* new_stream();
/// Runs everything that is queued on every stream.
void drain_all();
/// True or false, in an order that looks random and is the same in every run of one thread.
bool coin();

}  // namespace espalier::shim
