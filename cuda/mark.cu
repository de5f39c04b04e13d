// Events on the stream: the card notes the time when it gets there, so neither the host's way to it
// nor what runs on other streams' behalf before it is counted.
#include <utility>

#include "cuda/cuda_backend.h"
#include "cuda/launch.h"

namespace espalier::cuda {
namespace {

struct EventMark final : Mark {
  cudaEvent_t event = nullptr;

  EventMark() = default;
  EventMark(const EventMark&) = delete;
  EventMark& operator=(const EventMark&) = delete;
  ~EventMark() override {
    if (event != nullptr) cudaEventDestroy(event);
  }
};

cudaEvent_t event_of(const Mark& mark) { return static_cast<const EventMark&>(mark).event; }

}  // namespace

Status CudaBackend::mark(std::unique_ptr<Mark>& mark) {
  auto made = std::make_unique<EventMark>();
  if (Status status =
          status_of(cudaEventCreateWithFlags(&made->event, cudaEventDefault), "make an event");
      !status.ok()) {
    return status;
  }
  if (Status status = status_of(cudaEventRecord(made->event, stream()), "record an event");
      !status.ok()) {
    return status;
  }
  mark = std::move(made);
  return {};
}

Status CudaBackend::elapsed(const Mark& from, const Mark& to, double& seconds) {
  for (const Mark* mark : {&from, &to}) {
    if (Status status = status_of(cudaEventSynchronize(event_of(*mark)), "wait for an event");
        !status.ok()) {
      return status;
    }
  }
  float milliseconds = 0;
  const cudaError_t error = cudaEventElapsedTime(&milliseconds, event_of(from), event_of(to));
  seconds = static_cast<double>(milliseconds) / 1e3;
  return status_of(error, "time between events");
}

}  // namespace espalier::cuda
