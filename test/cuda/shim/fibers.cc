#include "test/cuda/shim/fibers.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <random>
#include <vector>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace espalier::shim {
namespace {

constexpr size_t kStack = size_t{128} << 10;
constexpr size_t kGuard = 256;
constexpr std::byte kGuardByte{0xa5};
constexpr int kWords = 16;

[[noreturn]] void give_up(const char* why) {
  const Context& c = current();
  std::fprintf(stderr, "cuda shim: %s (block %u %u %u of %u %u %u)\n", why, c.block.x, c.block.y,
               c.block.z, c.blocks.x, c.blocks.y, c.blocks.z);
  std::abort();
}

// --- Switching stacks
// ----------------------------------------------------------------------------
#if defined(__x86_64__)

// Saves the callee-saved registers on the stack, leaves its address in *from, and goes on at `to`.
extern "C" void espalier_shim_switch(void** from, void* to);
asm(R"(
.text
.type espalier_shim_switch,@function
espalier_shim_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size espalier_shim_switch,.-espalier_shim_switch
)");

class Stack {
 public:
  void prepare(std::byte* low, void (*entry)()) {
    auto* top = reinterpret_cast<void**>(low + kStack) - 2;
    *--top = nullptr;  // where entry would return to, were it to return
    *--top = reinterpret_cast<void*>(entry);
    for (int saved = 0; saved < 6; ++saved) *--top = nullptr;
    position_ = top;
  }
  void resume(Stack& from) { espalier_shim_switch(&from.position_, position_); }

 private:
  void* position_ = nullptr;
};

#else

class Stack {
 public:
  void prepare(std::byte* low, void (*entry)()) {
    getcontext(&context_);
    context_.uc_stack.ss_sp = low;
    context_.uc_stack.ss_size = kStack;
    context_.uc_link = nullptr;
    makecontext(&context_, entry, 0);
  }
  void resume(Stack& from) { swapcontext(&from.context_, &context_); }

 private:
  ucontext_t context_{};
};

#endif

// --- Threads, warps, blocks
// ----------------------------------------------------------------------

struct Fiber {
  Stack stack;
  Context context;
  bool ended = false;
  bool in_block_barrier = false;
  bool in_warp_barrier = false;
  unsigned warp_mask = 0;
};

struct Warp {
  std::array<std::array<uint64_t, kWarp * kWords>, 2> slots{};
  unsigned arrived = 0;
  int turn = 0;
};

struct Block {
  std::vector<std::unique_ptr<Fiber>> fibers;
  std::vector<Warp> warps;
  const std::function<void()>* kernel = nullptr;
  Fiber* running = nullptr;
  Stack scheduler;
  int predicates = 0;
  int predicates_before = 0;
  uint64_t threads_run = 0;
};

// One kernel at a time: the streams of several devices take turns. Never destroyed: a process may
// end while a stream's thread runs a kernel.
Block& block() {
  static auto* const instance = new Block;
  return *instance;
}

std::byte* stack_memory(size_t index) {
  static auto& stacks = *new std::vector<std::byte*>;  // as long as block()
  while (stacks.size() <= index) {
    void* memory = mmap(nullptr, kStack, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) give_up("no memory for a fiber's stack");
    stacks.push_back(static_cast<std::byte*>(memory));
  }
  return stacks[index];
}

void leave() { block().scheduler.resume(block().running->stack); }

void thread_main() {
  (*block().kernel)();
  block().running->ended = true;
  leave();
  std::abort();
}

unsigned live_lanes(unsigned warp) {
  unsigned lanes = 0;
  for (const auto& fiber : block().fibers) {
    if (fiber->context.warp == warp && !fiber->ended) lanes |= 1U << fiber->context.lane;
  }
  return lanes;
}

void release_warp(unsigned index) {
  Warp& warp = block().warps[index];
  warp.arrived = 0;
  warp.turn ^= 1;
  for (const auto& fiber : block().fibers) {
    if (fiber->context.warp == index) fiber->in_warp_barrier = false;
  }
}

// Lets go of the threads whose barrier is complete; true when there were any.
bool release_barriers() {
  bool released = false;
  for (unsigned index = 0; index < block().warps.size(); ++index) {
    const Warp& warp = block().warps[index];
    if (warp.arrived == 0) continue;
    unsigned wanted = 0;
    for (const auto& fiber : block().fibers) {
      if (fiber->context.warp == index && fiber->in_warp_barrier) wanted |= fiber->warp_mask;
    }
    if ((wanted & ~live_lanes(index)) != 0) give_up("a lane named in a warp's mask has ended");
    if ((wanted & ~warp.arrived) != 0) continue;
    release_warp(index);
    released = true;
  }
  if (released) return true;
  bool any = false;
  for (const auto& fiber : block().fibers) {
    if (fiber->ended) continue;
    if (!fiber->in_block_barrier) return false;
    any = true;
  }
  if (!any) return false;
  block().predicates_before = block().predicates;
  block().predicates = 0;
  for (const auto& fiber : block().fibers) fiber->in_block_barrier = false;
  return true;
}

void run_block(const std::vector<size_t>& order) {
  Block& b = block();
  size_t left = order.size();
  while (left > 0) {
    bool progress = false;
    for (const size_t index : order) {
      Fiber& fiber = *b.fibers[index];
      if (fiber.ended || fiber.in_block_barrier || fiber.in_warp_barrier) continue;
      b.running = &fiber;
      fiber.stack.resume(b.scheduler);
      progress = true;
      if (fiber.ended) --left;
    }
    if (left > 0 && !release_barriers() && !progress) {
      give_up("threads wait for each other for ever: a barrier that not all of them reach");
    }
  }
}

}  // namespace

Context& current() {
  static Context outside;
  return block().running == nullptr ? outside : block().running->context;
}

void run_grid(dim3 blocks, dim3 threads, size_t shared_bytes, const std::function<void()>& kernel) {
  static std::minstd_rand shuffler(12345);
  static std::mutex turn;
  const std::lock_guard lock(turn);
  Block& b = block();
  const size_t count = size_t{threads.x} * threads.y * threads.z;
  if (count == 0 || count > 1024) give_up("a block needs 1 to 1024 threads");
  while (b.fibers.size() < count) b.fibers.push_back(std::make_unique<Fiber>());
  b.fibers.resize(count);
  std::vector<std::byte> shared(shared_bytes + kGuard + 128);
  auto* base =
      reinterpret_cast<std::byte*>((reinterpret_cast<uintptr_t>(shared.data()) + 127) / 128 * 128);
  std::vector<size_t> order(count);
  for (size_t i = 0; i < count; ++i) order[i] = i;
  b.kernel = &kernel;
  b.threads_run += count * blocks.x * blocks.y * blocks.z;
  for (unsigned z = 0; z < blocks.z; ++z) {
    for (unsigned y = 0; y < blocks.y; ++y) {
      for (unsigned x = 0; x < blocks.x; ++x) {
        std::memset(base, 0xff, shared_bytes);
        std::memset(base + shared_bytes, static_cast<int>(kGuardByte), kGuard);
        b.warps.assign((count + kWarp - 1) / kWarp, Warp{});
        b.predicates = 0;
        for (size_t i = 0; i < count; ++i) {
          Fiber& fiber = *b.fibers[i];
          const auto index = static_cast<unsigned>(i);
          fiber.ended = fiber.in_block_barrier = fiber.in_warp_barrier = false;
          fiber.context = {.thread = {index % threads.x, index / threads.x % threads.y,
                                      index / threads.x / threads.y},
                           .block = {x, y, z},
                           .threads = threads,
                           .blocks = blocks,
                           .lane = index % kWarp,
                           .warp = index / kWarp,
                           .dynamic_shared = base};
          fiber.stack.prepare(stack_memory(i), thread_main);
        }
        std::shuffle(order.begin(), order.end(), shuffler);
        run_block(order);
        for (size_t i = 0; i < kGuard; ++i) {
          if (base[shared_bytes + i] != kGuardByte) give_up("wrote behind its shared memory");
        }
      }
    }
  }
  b.running = nullptr;
}

void block_barrier() { block_count(false); }

int block_count(bool predicate) {
  Block& b = block();
  b.predicates += predicate ? 1 : 0;
  b.running->in_block_barrier = true;
  leave();
  return b.predicates_before;
}

const uint64_t* warp_exchange_words(unsigned mask, const uint64_t* words, int count) {
  Block& b = block();
  Fiber& fiber = *b.running;
  const unsigned lane = fiber.context.lane;
  if ((mask >> lane & 1U) == 0) give_up("a lane uses a warp's mask without itself");
  Warp& warp = b.warps[fiber.context.warp];
  auto& slots = warp.slots[static_cast<size_t>(warp.turn)];
  std::copy_n(words, count, slots.begin() + lane * kWords);
  warp.arrived |= 1U << lane;
  fiber.warp_mask = mask;
  fiber.in_warp_barrier = true;
  leave();
  return slots.data();
}

const uint64_t* warp_exchange(unsigned mask, uint64_t bits) {
  return warp_exchange_words(mask, &bits, 1);
}

uint64_t threads_run() { return block().threads_run; }

}  // namespace espalier::shim
