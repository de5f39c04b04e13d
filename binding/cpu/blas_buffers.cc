#include "binding/cpu/blas_buffers.h"

#include <sys/mman.h>

#include <array>
#include <atomic>

#include "binding/cpu/lapack.h"

namespace espalier::cpu {
namespace {

// OpenBLAS maps 128 MiB on x86-64 (BUFFER_SIZE of 0.3.21), less elsewhere; the rest is margin.
constexpr size_t kBufferBytes = size_t{136} << 20;

bool has_address_space(size_t bytes) {
  void* probe = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (probe == MAP_FAILED) return false;
  munmap(probe, bytes);
  return true;
}

}  // namespace

Status prepare_blas() {
  static std::atomic<bool> ready{false};
  if (ready.load(std::memory_order_acquire)) return {};
  if (!has_address_space(kBufferBytes)) {
    return {ErrorCode::out_of_memory, "no address space for the linear algebra library's buffer"};
  }
  constexpr LapackInt kOrder = 64;
  static std::array<double, size_t{kOrder} * kOrder> matrix{};
  static std::array<double, size_t{kOrder} * kOrder> product{};
  const double one = 1;
  const double zero = 0;
  dgemm_("N", "N", &kOrder, &kOrder, &kOrder, &one, matrix.data(), &kOrder, matrix.data(), &kOrder,
         &zero, product.data(), &kOrder);
  ready.store(true, std::memory_order_release);
  return {};
}

void set_blas_threads(int threads) {
  static int most = openblas_get_num_threads();
  if (threads > most) {
    if (has_address_space(static_cast<size_t>(threads - most) * kBufferBytes)) most = threads;
    threads = most;
  }
  openblas_set_num_threads(threads);
}

}  // namespace espalier::cpu
