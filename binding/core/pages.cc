#include "binding/core/pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

namespace espalier {
namespace {

constexpr size_t kPiece = size_t{32} << 20;

size_t page_size() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

size_t round_up(size_t value, size_t unit) { return (value + unit - 1) / unit * unit; }

}  // namespace

void* map_pages(size_t bytes, size_t alignment) {
  const size_t page = page_size();
  const size_t size = round_up(bytes, page);
  const size_t slack = alignment > page ? alignment - page : 0;
  void* mapped =
      mmap(nullptr, size + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  auto* start = static_cast<std::byte*>(mapped);
  const auto address = reinterpret_cast<uintptr_t>(mapped);
  const size_t before = slack == 0 ? 0 : round_up(address, alignment) - address;
  if (before > 0) munmap(start, before);
  if (slack > before) munmap(start + before + size, slack - before);
  return start + before;
}

void unmap_pages(void* data, size_t bytes) {
  if (bytes > kPiece) discard_pages(data, bytes);
  munmap(data, round_up(bytes, page_size()));
}

void discard_pages(void* data, size_t bytes) {
  const size_t page = page_size();
  const auto start = reinterpret_cast<uintptr_t>(data);
  const uintptr_t last = (start + bytes) / page * page;
  for (uintptr_t first = round_up(start, page); first < last; first += kPiece) {
    madvise(reinterpret_cast<void*>(first), std::min<size_t>(kPiece, last - first), MADV_DONTNEED);
  }
}

}  // namespace espalier
