// The ring is as long as the device is busy with one slot while the host fills the next ones. A
// copy begins when the stream of kernels has passed the point where it was asked for, because the
// target's memory may be in use before; kernels that want the tensor wait for its event. So the
// copy for the next layer, asked for before this layer's kernels are queued, runs beside them.
#include <algorithm>
#include <cstring>
#include <exception>
#include <new>
#include <utility>

#include "cuda/launch.h"
#include "cuda/uploads.h"

namespace espalier::cuda {
namespace {

constexpr size_t kSlotBytes = size_t{4} << 20;

}  // namespace

/// An event that is destroyed with its last holder.
struct Uploads::Event {
  cudaEvent_t event = nullptr;

  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() {
    if (event != nullptr) cudaEventDestroy(event);
  }
  /// Makes the event and records it.
  Status record(cudaStream_t stream) {
    cudaError_t error = cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
    if (error == cudaSuccess) error = cudaEventRecord(event, stream);
    return status_of(error, "record an event");
  }
};

/// What the thread tells those who wait.
struct Uploads::Arrival {
  std::mutex mutex;
  std::condition_variable changed;
  bool queued = false;
  Status status;
  Event event;
};

struct Uploads::ArrivalMark final : Mark {
  explicit ArrivalMark(std::shared_ptr<Arrival> shared) : arrival(std::move(shared)) {}
  std::shared_ptr<Arrival> arrival;
};

Uploads::~Uploads() {
  if (thread_.joinable()) {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }
  for (const Slot& slot : slots_) {
    if (slot.free != nullptr) cudaEventDestroy(slot.free);
    if (slot.data != nullptr) cudaFreeHost(slot.data);
  }
}

bool Uploads::start() {
  if (thread_.joinable()) return true;
  const auto good = [](cudaError_t error) {
    if (error != cudaSuccess) cudaGetLastError();
    return error == cudaSuccess;
  };
  for (Slot& slot : slots_) {
    void* data = slot.data;
    if (data == nullptr && !good(cudaMallocHost(&data, kSlotBytes))) return false;
    slot.data = static_cast<std::byte*>(data);
    if (slot.free == nullptr &&
        !good(cudaEventCreateWithFlags(&slot.free, cudaEventDisableTiming))) {
      return false;
    }
  }
  if (stream_ == nullptr && !good(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking))) {
    return false;
  }
  try {
    thread_ = std::thread([this] { loop(); });
  } catch (const std::exception&) {
    return false;
  }
  return true;
}

Status Uploads::queue(cudaStream_t stream, void* target, const void* source, size_t bytes,
                      std::shared_ptr<const void> owner, std::unique_ptr<Mark>& arrival) {
  const auto after = std::make_shared<Event>();
  if (Status status = after->record(stream); !status.ok()) return status;
  const auto shared = std::make_shared<Arrival>();
  auto mark = std::make_unique<ArrivalMark>(shared);
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back({static_cast<std::byte*>(target), static_cast<const std::byte*>(source), bytes,
                     std::move(owner), after, shared});
  }
  wake_.notify_one();
  arrival = std::move(mark);
  return {};
}

Status Uploads::await(cudaStream_t stream, const Mark& arrival) {
  Arrival& a = *static_cast<const ArrivalMark&>(arrival).arrival;
  std::unique_lock lock(a.mutex);
  a.changed.wait(lock, [&] { return a.queued; });
  if (!a.status.ok()) return a.status;
  return status_of(cudaStreamWaitEvent(stream, a.event.event, 0), "wait for an upload");
}

void Uploads::loop() {
  cudaSetDevice(ordinal_);
  for (;;) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return ending_ || !jobs_.empty(); });
    if (jobs_.empty()) return;
    const Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    Status status = [&]() -> Status {
      try {
        return copy(job);
      } catch (const std::bad_alloc&) {
        return {ErrorCode::out_of_memory, "no memory left"};
      }
    }();
    // A copy that broke off must not write into memory that somebody else gets.
    if (!status.ok()) cudaStreamSynchronize(stream_);
    {
      const std::lock_guard done(job.arrival->mutex);
      std::swap(job.arrival->status, status);
      job.arrival->queued = true;
    }
    job.arrival->changed.notify_all();
  }
}

Status Uploads::copy(const Job& job) {
  if (Status status = status_of(cudaStreamWaitEvent(stream_, job.after->event, 0), "wait");
      !status.ok()) {
    return status;
  }
  for (size_t at = 0; at < job.bytes; at += kSlotBytes) {
    const Slot& slot = slots_[next_slot_];
    next_slot_ = (next_slot_ + 1) % slots_.size();
    const size_t bytes = std::min(kSlotBytes, job.bytes - at);
    cudaError_t error = cudaEventSynchronize(slot.free);
    if (error == cudaSuccess) {
      std::memcpy(slot.data, job.source + at, bytes);
      error = cudaMemcpyAsync(job.target + at, slot.data, bytes, cudaMemcpyHostToDevice, stream_);
    }
    if (error == cudaSuccess) error = cudaEventRecord(slot.free, stream_);
    if (error != cudaSuccess) return status_of(error, "copy to the GPU");
  }
  return job.arrival->event.record(stream_);
}

}  // namespace espalier::cuda
