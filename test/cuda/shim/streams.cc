// Streams, events and copies of CUDA's runtime. A copy from ordinary memory has read it when the
// call returns, one to ordinary memory has ended then; pinned memory is read and written when the
// stream gets there.
#include <chrono>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "test/cuda/shim/cuda_runtime.h"
#include "test/cuda/shim/memory.h"
#include "test/cuda/shim/scheduler.h"

using espalier::shim::coin;
using espalier::shim::EmulatedStream;
using espalier::shim::EventState;

struct CudaShimEvent {
  bool timed;
  std::shared_ptr<EventState> state = std::make_shared<EventState>();
};

namespace {

EmulatedStream& emulated(cudaStream_t stream) { return static_cast<EmulatedStream&>(*stream); }

// Anything with an address of its own tells copies and clearings from kernels.
constexpr char kCopy = 0;
constexpr char kClear = 0;

}  // namespace

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned /*flags*/) {
  *stream = espalier::shim::new_stream();
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (emulated(stream).capture != nullptr) return cudaErrorStreamCaptureUnsupported;
  // Other streams may have run before, or may not have.
  if (coin()) espalier::shim::drain_all();
  emulated(stream).drain();
  espalier::shim::check_all_guards();
  return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned /*flags*/) {
  if (emulated(stream).capture != nullptr) return cudaErrorStreamCaptureUnsupported;
  emulated(stream).append([state = event->state, ticket = event->state->recorded] {
    if (state->completed < ticket) state->stream->run_to(*state, ticket);
  });
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  *event = new CudaShimEvent{.timed = flags != cudaEventDisableTiming};
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (emulated(stream).capture != nullptr) return cudaErrorStreamCaptureUnsupported;
  event->state->stream = &emulated(stream);
  emulated(stream).append([state = event->state, ticket = ++event->state->recorded] {
    state->completed = ticket;
    state->nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(
                             std::chrono::steady_clock::now().time_since_epoch())
                             .count();
  });
  // A card would be there about now, and tests time what the host does meanwhile.
  if (event->timed) emulated(stream).drain();
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  EventState& state = *event->state;
  if (state.stream != nullptr) state.stream->run_to(state, state.recorded);
  return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
  *milliseconds = static_cast<float>(to->state->nanoseconds - from->state->nanoseconds) / 1e6F;
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* target, const void* source, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  EmulatedStream& on = emulated(stream);
  const bool pinned = espalier::shim::is_pinned(kind == cudaMemcpyDeviceToHost ? target : source);
  if (kind == cudaMemcpyHostToDevice && !pinned) {
    const auto* begin = static_cast<const std::byte*>(source);
    on.enqueue(&kCopy, [target, copy = std::vector<std::byte>(begin, begin + bytes)] {
      std::memcpy(target, copy.data(), copy.size());
    });
    return cudaSuccess;
  }
  on.enqueue(&kCopy, [target, source, bytes] { std::memmove(target, source, bytes); });
  if (kind == cudaMemcpyDeviceToHost && !pinned) on.drain();
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* target, int value, size_t bytes, cudaStream_t stream) {
  emulated(stream).enqueue(&kClear, [target, value, bytes] { std::memset(target, value, bytes); });
  return cudaSuccess;
}
