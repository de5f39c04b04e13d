#include "binding/cpu/cpu_backend.h"

#include <omp.h>
#include <sched.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "binding/core/pages.h"
#include "binding/cpu/blas_buffers.h"

namespace espalier::cpu {
namespace {

constexpr size_t kLargePage = size_t{2} << 20;

// Blocks from this size on are mapped: malloc would keep much of them when they are freed. Not
// where the address sanitizer shall guard them, which sees what malloc gives.
#ifdef __SANITIZE_ADDRESS__
constexpr size_t kMapped = SIZE_MAX;
#else
constexpr size_t kMapped = kLargePage;
#endif

// Copies larger than this are split over the threads.
constexpr size_t kParallelCopy = size_t{1} << 20;

void parallel_copy(void* target, const void* source, size_t bytes) {
  if (bytes == 0) return;
  if (bytes < kParallelCopy) {
    std::memcpy(target, source, bytes);
    return;
  }
  const auto blocks = static_cast<int64_t>((bytes + kParallelCopy - 1) / kParallelCopy);
#pragma omp parallel for schedule(static)
  for (int64_t block = 0; block < blocks; ++block) {
    const size_t start = static_cast<size_t>(block) * kParallelCopy;
    std::memcpy(static_cast<std::byte*>(target) + start,
                static_cast<const std::byte*>(source) + start,
                std::min(kParallelCopy, bytes - start));
  }
}

size_t bytes_of(const ConstView& view) {
  return static_cast<size_t>(view.shape.elements()) * size_of(view.dtype);
}

}  // namespace

CpuBackend::CpuBackend() = default;

// Large blocks lie on large pages where the system has some: kernels walk along them with strides
// of whole small pages. Not the largest: while the system clears so many, timers wait 20 ms.
void* CpuBackend::allocate(size_t bytes) {
  if (bytes < kMapped) return std::aligned_alloc(64, (bytes + 63) / 64 * 64);
  constexpr size_t kMostOnLargePages = size_t{64} << 20;
  const bool large = bytes <= kMostOnLargePages;
  void* data = map_pages(bytes, large ? kLargePage : 64);
#ifdef MADV_HUGEPAGE
  if (data != nullptr && large) madvise(data, bytes, MADV_HUGEPAGE);
#endif
  return data;
}

void CpuBackend::deallocate(void* data, size_t bytes) {
  if (bytes < kMapped) {
    std::free(data);
  } else {
    unmap_pages(data, bytes);
  }
}

void CpuBackend::set_threads(int threads) {
  set_blas_threads(threads);
  omp_set_num_threads(threads);
}

Status CpuBackend::copy_from_host(const View& target, const void* source) {
  parallel_copy(target.data, source,
                static_cast<size_t>(target.shape.elements()) * size_of(target.dtype));
  return {};
}

Status CpuBackend::copy_to_host(void* target, const ConstView& source) {
  parallel_copy(target, source.data, bytes_of(source));
  return {};
}

Status CpuBackend::copy(const View& target, const ConstView& source) {
  parallel_copy(target.data, source.data, bytes_of(source));
  return {};
}

Status CpuBackend::clear(const View& target) {
  const size_t bytes = static_cast<size_t>(target.shape.elements()) * size_of(target.dtype);
  if (bytes > 0) std::memset(target.data, 0, bytes);
  return {};
}

Device& cpu_device() {
  static auto* const device = new Device("cpu", std::make_unique<CpuBackend>());
  return *device;
}

}  // namespace espalier::cpu
