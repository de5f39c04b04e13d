// Runs the threads of one CUDA block as fibers on the calling thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace espalier::shim {

/// Three unsigned numbers, as CUDA's own type of this name.
struct uint3 {
  unsigned x = 0;  ///< fastest
  unsigned y = 0;  ///< second
  unsigned z = 0;  ///< slowest
};

/// Grid and block sizes.
struct dim3 {
  unsigned x;  ///< fastest
  unsigned y;  ///< second
  unsigned z;  ///< slowest

  /// 1 where nothing is given.
  constexpr dim3(unsigned x_size = 1, unsigned y_size = 1, unsigned z_size = 1)
      : x(x_size), y(y_size), z(z_size) {}
};

/// Threads of a warp.
constexpr unsigned kWarp = 32;

/// What the running thread of the running kernel sees of itself.
struct Context {
  uint3 thread;                         ///< threadIdx
  uint3 block;                          ///< blockIdx
  dim3 threads;                         ///< blockDim
  dim3 blocks;                          ///< gridDim
  unsigned lane = 0;                    ///< place in the warp
  unsigned warp = 0;                    ///< warp of the block
  std::byte* dynamic_shared = nullptr;  ///< shared memory asked for at the launch
};

/// The running thread's context; only inside a kernel.
Context& current();

/// Runs `kernel` once for every thread of every block, block after block. The threads of a block
/// take turns in an order that is shuffled anew for each block, and go on until they wait or end.
/// Dynamic shared memory starts as 0xff bytes and has guards behind it. Ends the process with a
/// message when a guard was overwritten or when threads wait for each other for ever.
void run_grid(dim3 blocks, dim3 threads, size_t shared_bytes, const std::function<void()>& kernel);

/// __syncthreads(): waits for all threads of the block that have not ended.
void block_barrier();

/// Number of threads of the block whose `predicate` is true; a barrier too.
int block_count(bool predicate);

/// Hands `bits` to the other lanes of `mask`, waits until all of those have come, and returns where
/// lane l's bits stand, at [l]. The array is valid until the next exchange.
const uint64_t* warp_exchange(unsigned mask, uint64_t bits);

/// As warp_exchange for `count` words a lane, at most 16: word i of lane l stands at [16 l + i].
const uint64_t* warp_exchange_words(unsigned mask, const uint64_t* words, int count);

/// Threads run since the process began, to tell that a kernel did run.
uint64_t threads_run();

/// Number of emulated cards; they share one memory.
int devices();

}  // namespace espalier::shim
