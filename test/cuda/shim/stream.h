// What cudaStream_t points to when a GPU is emulated. Libraries that stand in for NVIDIA's queue
// their work through it, so that it runs in the stream's order.
#pragma once

#include <functional>

/// A queue of work that runs late: when somebody waits for it, or when it has grown long.
struct CudaShimStream {
  virtual ~CudaShimStream() = default;
  /// Queues `work`, or adds it to the graph that the stream is being captured into. `what` tells
  /// kinds of work apart, as the function of a kernel does.
  virtual void enqueue(const void* what, std::function<void()> work) = 0;
  /// Runs all that is queued.
  virtual void drain() = 0;
};
