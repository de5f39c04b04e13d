// The part of CUDA's runtime that espalier calls, on host memory. Every block of "device" memory
// has guards around it and starts as 0xff bytes (NaN as any float), so that what writes outside or
// reads what nobody wrote shows. ESPALIER_SHIM_MEMORY limits the bytes that can be taken;
// ESPALIER_SHIM_CAPABILITY is ten times the compute capability, 80 when not given;
// ESPALIER_SHIM_DEVICES is the number of cards, 1 when not given.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>

#include "test/cuda/shim/cuda_runtime.h"
#include "test/cuda/shim/memory.h"
#include "test/cuda/shim/scheduler.h"

namespace {

constexpr size_t kGuard = 256;
constexpr unsigned char kGuardByte = 0xa5;

struct Blocks {
  std::mutex mutex;
  std::map<void*, size_t> sizes;
  std::map<const std::byte*, size_t> pinned;
  size_t in_use = 0;
};

Blocks& blocks() {
  static auto* const instance = new Blocks;
  return *instance;
}

size_t memory_limit() {
  static const char* const text = std::getenv("ESPALIER_SHIM_MEMORY");
  return text == nullptr ? size_t{16} << 30 : std::stoull(text);
}

int compute_capability() {
  const char* text = std::getenv("ESPALIER_SHIM_CAPABILITY");
  return text == nullptr ? 80 : std::stoi(text);
}

void check_guards(void* data, size_t bytes) {
  const auto* low = static_cast<unsigned char*>(data) - kGuard;
  const auto* high = static_cast<unsigned char*>(data) + bytes;
  for (size_t i = 0; i < kGuard; ++i) {
    if (low[i] == kGuardByte && high[i] == kGuardByte) continue;
    std::fprintf(stderr, "cuda shim: a kernel wrote %s a block of %zu bytes\n",
                 low[i] == kGuardByte ? "behind" : "in front of", bytes);
    std::abort();
  }
}

}  // namespace

namespace espalier::shim {

int devices() {
  const char* text = std::getenv("ESPALIER_SHIM_DEVICES");
  return text == nullptr ? 1 : std::stoi(text);
}

void check_all_guards() {
  Blocks& b = blocks();
  const std::lock_guard lock(b.mutex);
  for (const auto& [data, bytes] : b.sizes) check_guards(data, bytes);
}

bool is_pinned(const void* address) {
  Blocks& b = blocks();
  const std::lock_guard lock(b.mutex);
  const auto* byte = static_cast<const std::byte*>(address);
  const auto after = b.pinned.upper_bound(byte);
  if (after == b.pinned.begin()) return false;
  const auto& [data, bytes] = *std::prev(after);
  return byte < data + bytes;
}

}  // namespace espalier::shim

cudaError_t cudaSetDevice(int ordinal) {
  return ordinal >= 0 && ordinal < espalier::shim::devices() ? cudaSuccess : cudaErrorInvalidValue;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int /*ordinal*/) {
  switch (attribute) {
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = 99 << 10;
      return cudaSuccess;
    case cudaDevAttrMultiProcessorCount:
      *value = 4;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      *value = compute_capability() / 10;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      *value = compute_capability() % 10;
      return cudaSuccess;
    case cudaDevAttrMemoryPoolsSupported:
      *value = 1;
      return cudaSuccess;
  }
  return cudaErrorInvalidValue;
}

cudaError_t cudaMalloc(void** pointer, size_t bytes) {
  Blocks& b = blocks();
  const std::lock_guard lock(b.mutex);
  if (b.in_use + bytes > memory_limit()) return cudaErrorMemoryAllocation;
  auto* raw =
      static_cast<unsigned char*>(std::aligned_alloc(256, (bytes + 2 * kGuard + 255) / 256 * 256));
  if (raw == nullptr) return cudaErrorMemoryAllocation;
  std::memset(raw, kGuardByte, kGuard);
  std::memset(raw + kGuard, 0xff, bytes);
  std::memset(raw + kGuard + bytes, kGuardByte, kGuard);
  *pointer = raw + kGuard;
  b.sizes[*pointer] = bytes;
  b.in_use += bytes;
  return cudaSuccess;
}

namespace {

cudaError_t give_back(void* pointer) {
  Blocks& b = blocks();
  const std::lock_guard lock(b.mutex);
  const auto found = b.sizes.find(pointer);
  if (found == b.sizes.end()) return cudaErrorInvalidValue;
  check_guards(pointer, found->second);
  b.in_use -= found->second;
  b.sizes.erase(found);
  std::free(static_cast<unsigned char*>(pointer) - kGuard);
  return cudaSuccess;
}

}  // namespace

cudaError_t cudaFree(void* pointer) {
  if (pointer == nullptr) return cudaSuccess;
  espalier::shim::drain_all();
  return give_back(pointer);
}

cudaError_t cudaMallocAsync(void** pointer, size_t bytes, cudaStream_t /*stream*/) {
  return cudaMalloc(pointer, bytes);
}

// The block is free once the stream gets there; until then it counts.
cudaError_t cudaFreeAsync(void* pointer, cudaStream_t stream) {
  static_cast<espalier::shim::EmulatedStream*>(stream)->append([pointer] { give_back(pointer); });
  return cudaSuccess;
}

cudaError_t cudaMallocHost(void** pointer, size_t bytes) {
  *pointer = std::malloc(bytes);
  if (*pointer == nullptr) return cudaErrorMemoryAllocation;
  Blocks& b = blocks();
  const std::lock_guard lock(b.mutex);
  b.pinned[static_cast<std::byte*>(*pointer)] = bytes;
  return cudaSuccess;
}

cudaError_t cudaFreeHost(void* pointer) {
  espalier::shim::drain_all();
  Blocks& b = blocks();
  const std::lock_guard lock(b.mutex);
  b.pinned.erase(static_cast<std::byte*>(pointer));
  std::free(pointer);
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  Blocks& b = blocks();
  const std::lock_guard lock(b.mutex);
  *total = memory_limit();
  *free = *total - b.in_use;
  return cudaSuccess;
}

cudaError_t cudaGetLastError() { return cudaSuccess; }

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorStreamCaptureUnsupported:
      return "operation not permitted when stream is capturing";
    case cudaErrorGraphExecUpdateFailure:
      return "the graph update was not performed";
    case cudaErrorNotSupported:
      return "operation not supported";
  }
  return "unknown error";
}
