#include "binding/core/memory_pool.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <thread>
#include <vector>

#include "binding/cpu/cpu_backend.h"

namespace espalier::test {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

TEST_CASE("a freed block is handed out again, also for a slightly different size") {
  cpu::CpuBackend backend;
  MemoryPool pool(backend);
  void* first = pool.allocate(1000);
  REQUIRE(first != nullptr);
  CHECK(reinterpret_cast<uintptr_t>(first) % 64 == 0);
  pool.release(first, 1000);
  void* second = pool.allocate(1020);
  CHECK(second == first);
  void* third = pool.allocate(1020);
  CHECK(third != second);
  pool.release(second, 1020);
  pool.release(third, 1020);
  pool.trim(0);
  CHECK(pool.statistics().cached == 0);
}

TEST_CASE("a block holds what was asked for, whatever the size") {
  cpu::CpuBackend backend;
  MemoryPool pool(backend);
  for (size_t bytes = 1; bytes < 100000; bytes = bytes * 5 / 4 + 1) {
    auto* block = static_cast<unsigned char*>(pool.allocate(bytes));
    REQUIRE(block != nullptr);
    CHECK(pool.statistics().in_use >= bytes);
    CHECK(pool.statistics().in_use <= bytes + bytes / 8 + 64);
    // Under AddressSanitizer a block that is too short shows here.
    block[0] = 1;
    block[bytes - 1] = 1;
    pool.release(block, bytes);
    CHECK(pool.statistics().in_use == 0);
  }
  pool.trim(0);
}

TEST_CASE("the cache keeps no more than its limit") {
  cpu::CpuBackend backend;
  MemoryPool pool(backend);
  pool.set_cache_limit(4 * kMiB);
  std::vector<void*> blocks;
  for (int i = 0; i < 8; ++i) blocks.push_back(pool.allocate(kMiB));
  for (void* block : blocks) {
    pool.release(block, kMiB);
    CHECK(pool.statistics().cached <= 4 * kMiB);
  }
  CHECK(pool.statistics().cached == 4 * kMiB);
  void* large = pool.allocate(5 * kMiB);
  pool.release(large, 5 * kMiB);
  CHECK(pool.statistics().cached == 4 * kMiB);
  pool.set_cache_limit(2 * kMiB);
  CHECK(pool.statistics().cached == 2 * kMiB);
  pool.trim(kMiB);
  CHECK(pool.statistics().cached == kMiB);
  pool.trim(0);
  CHECK(pool.statistics().cached == 0);
}

TEST_CASE("the peak is the highest use since it was reset") {
  cpu::CpuBackend backend;
  MemoryPool pool(backend);
  void* first = pool.allocate(kMiB);
  void* second = pool.allocate(2 * kMiB);
  pool.release(second, 2 * kMiB);
  CHECK(pool.statistics().peak == 3 * kMiB);
  pool.reset_peak();
  CHECK(pool.statistics().peak == kMiB);
  pool.release(first, kMiB);
  pool.trim(0);
}

TEST_CASE("what cannot be allocated is null and changes nothing") {
  cpu::CpuBackend backend;
  MemoryPool pool(backend);
  CHECK(pool.allocate(SIZE_MAX) == nullptr);
  CHECK(pool.allocate(SIZE_MAX / 2) == nullptr);
  CHECK(pool.allocate(size_t{1} << 50) == nullptr);
  CHECK(pool.statistics().in_use == 0);
  CHECK(pool.statistics().peak == 0);
}

TEST_CASE("blocks may be released on any thread") {
  cpu::CpuBackend backend;
  MemoryPool pool(backend);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&pool, thread] {
      for (size_t i = 1; i < 300; ++i) {
        const size_t bytes = i * 37 + static_cast<size_t>(thread);
        void* block = pool.allocate(bytes);
        static_cast<unsigned char*>(block)[bytes - 1] = 1;
        pool.release(block, bytes);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(pool.statistics().in_use == 0);
  pool.trim(0);
}

}  // namespace
}  // namespace espalier::test
