#include <cstring>
#include <utility>

#include "cuda/cuda_backend.h"
#include "cuda/launch.h"
#include "cuda/uploads.h"

namespace espalier::cuda {
namespace {

constexpr size_t kStaging = size_t{4} << 20;
constexpr size_t kSmall = kStaging / 8;

// Addresses that tell these from kernels.
constexpr char kFill = 0;
constexpr char kCopy = 0;

struct Fill {
  void* target;
  int value;
  size_t bytes;

  Status queue(cudaStream_t stream) const {
    return status_of(cudaMemsetAsync(target, value, bytes, stream), "clear");
  }
};

struct Copy {
  void* target;
  const void* source;
  size_t bytes;

  Status queue(cudaStream_t stream) const {
    return status_of(cudaMemcpyAsync(target, source, bytes, cudaMemcpyDeviceToDevice, stream),
                     "copy on the GPU");
  }
};

size_t bytes_of(const ConstView& view) {
  return static_cast<size_t>(view.shape.elements()) * size_of(view.dtype);
}

size_t bytes_of(const View& view) {
  return static_cast<size_t>(view.shape.elements()) * size_of(view.dtype);
}

}  // namespace

Status fill_bytes(WorkQueue& stream, void* target, int value, size_t bytes) {
  return stream.add(&kFill, Fill{target, value, bytes});
}

Status copy_bytes(WorkQueue& stream, void* target, const void* source, size_t bytes) {
  return stream.add(&kCopy, Copy{target, source, bytes});
}

Status CudaBackend::start() {
  if (Status status = status_of(cudaSetDevice(ordinal_), "choose the device"); !status.ok()) {
    return status;
  }
  int major = 0;
  int minor = 0;
  int pools = 0;
  cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, ordinal_);
  cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, ordinal_);
  cudaDeviceGetAttribute(&pools, cudaDevAttrMemoryPoolsSupported, ordinal_);
  cudaDeviceGetAttribute(&multiprocessors_, cudaDevAttrMultiProcessorCount, ordinal_);
  compute_capability_ = 10 * major + minor;
  pools_ = pools != 0;
  void* staging = nullptr;
  if (Status status = status_of(cudaMallocHost(&staging, kStaging), "pinned memory");
      !status.ok()) {
    return status;
  }
  staging_ = static_cast<std::byte*>(staging);
  // Work can be held back only where memory is freed in the order of the stream.
  return stream_.start(pools_);
}

Status CudaBackend::synchronise() {
  Status status = status_of(cudaStreamSynchronize(stream_), "wait for the GPU");
  return stream_.failure().ok() ? status : stream_.failure();
}

Status CudaBackend::begin_region(const std::string& key) { return stream_.begin_region(key); }

Status CudaBackend::end_region() { return stream_.end_region(); }

// Tensors may be made and may die on any thread, and a thread has no device of its own at first.
void* CudaBackend::allocate(size_t bytes) {
  if (cudaSetDevice(ordinal_) != cudaSuccess) return nullptr;
  for (bool waited = false;; waited = true) {
    void* data = nullptr;
    const cudaError_t error = pools_ ? stream_.allocate(&data, bytes) : cudaMalloc(&data, bytes);
    if (error == cudaSuccess) return data;
    cudaGetLastError();  // a failed allocation stays recorded otherwise
    // What was freed is the card's again once the stream has passed it.
    if (waited || !synchronise().ok()) return nullptr;
  }
}

void CudaBackend::deallocate(void* data, size_t /*bytes*/) {
  if (cudaSetDevice(ordinal_) != cudaSuccess) return;
  if (pools_) {
    stream_.free(data);
  } else {
    cudaFree(data);
  }
}

void CudaBackend::set_threads(int /*threads*/) {}

// The runtime waits for the stream before it copies from ordinary memory, so small uploads (token
// ids, indices) leave from pinned memory instead. It is used up from front to back; the wait comes
// once it is full.
Status CudaBackend::copy_from_host(const View& target, const void* source) {
  const size_t bytes = bytes_of(target);
  if (bytes == 0) return {};
  if (bytes <= kSmall) {
    if (staged_ + bytes > kStaging) {
      if (Status status = synchronise(); !status.ok()) return status;
      staged_ = 0;
    }
    std::memcpy(staging_ + staged_, source, bytes);
    source = staging_ + staged_;
    staged_ += (bytes + 63) / 64 * 64;
  }
  return status_of(cudaMemcpyAsync(target.data, source, bytes, cudaMemcpyHostToDevice, stream_),
                   "copy to the GPU");
}

// What is small is sooner there in the order of the stream; so is everything without pinned memory.
Status CudaBackend::upload(const View& target, const void* source,
                           std::shared_ptr<const void> owner, std::unique_ptr<Mark>& arrival) {
  const size_t bytes = bytes_of(target);
  if (bytes <= kSmall) return copy_from_host(target, source);
  if (uploads_ == nullptr) uploads_ = std::make_shared<Uploads>(ordinal_);
  if (!uploads_->start()) return copy_from_host(target, source);
  return uploads_->queue(stream_, target.data, source, bytes, std::move(owner), arrival);
}

Status CudaBackend::await(const Mark& arrival) { return Uploads::await(stream_, arrival); }

Status CudaBackend::copy_to_host(void* target, const ConstView& source) {
  if (bytes_of(source) > 0) {
    const cudaError_t error =
        cudaMemcpyAsync(target, source.data, bytes_of(source), cudaMemcpyDeviceToHost, stream_);
    if (error != cudaSuccess) return status_of(error, "copy from the GPU");
  }
  return synchronise();
}

Status CudaBackend::copy(const View& target, const ConstView& source) {
  if (bytes_of(source) == 0) return {};
  return copy_bytes(stream_, target.data, source.data, bytes_of(source));
}

Status CudaBackend::clear(const View& target) {
  if (bytes_of(target) == 0) return {};
  return fill_bytes(stream_, target.data, 0, bytes_of(target));
}

}  // namespace espalier::cuda
