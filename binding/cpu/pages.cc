#include "binding/cpu/pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

namespace espalier::cpu {

void discard_pages(void* data, size_t bytes) {
  constexpr size_t kPiece = size_t{32} << 20;
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto start = reinterpret_cast<uintptr_t>(data);
  const uintptr_t last = (start + bytes) / page * page;
  for (uintptr_t first = (start + page - 1) / page * page; first < last; first += kPiece) {
    madvise(reinterpret_cast<void*>(first), std::min<size_t>(kPiece, last - first), MADV_DONTNEED);
  }
}

}  // namespace espalier::cpu
