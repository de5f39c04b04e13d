#include "test/cuda/shim/scheduler.h"

#include <random>
#include <utility>

namespace espalier::shim {
namespace {

constexpr size_t kLongest = 64;

// Held while work runs: the whole GPU does one thing at a time.
std::recursive_mutex& turn() {
  static auto* const instance = new std::recursive_mutex;
  return *instance;
}

// Held for a moment, for the queues.
std::mutex& queues() {
  static auto* const instance = new std::mutex;
  return *instance;
}

std::vector<EmulatedStream*>& streams() {
  static auto* const instance = new std::vector<EmulatedStream*>;
  return *instance;
}

}  // namespace

EmulatedStream* new_stream() {
  auto* stream = new EmulatedStream;
  const std::lock_guard lock(queues());
  streams().push_back(stream);
  return stream;
}

bool coin() {
  static std::minstd_rand generator(4711);
  const std::lock_guard lock(queues());
  return generator() / 1024 % 2 == 0;
}

void EmulatedStream::append(std::function<void()> work) {
  const std::lock_guard lock(queues());
  queue_.push_back(std::move(work));
}

void EmulatedStream::enqueue(const void* what, std::function<void()> work) {
  if (capture != nullptr) {
    capture->push_back({what, std::move(work)});
    return;
  }
  append(std::move(work));
  bool is_long = false;
  {
    const std::lock_guard lock(queues());
    is_long = queue_.size() > kLongest;
  }
  if (is_long) drain();
}

bool EmulatedStream::run_one() {
  std::function<void()> work;
  {
    const std::lock_guard lock(queues());
    if (queue_.empty()) return false;
    work = std::move(queue_.front());
    queue_.pop_front();
  }
  work();
  return true;
}

void EmulatedStream::drain() {
  const std::lock_guard lock(turn());
  while (run_one()) {
  }
}

void EmulatedStream::run_to(const EventState& event, uint64_t ticket) {
  const std::lock_guard lock(turn());
  while (event.completed < ticket && run_one()) {
  }
}

void drain_all() {
  std::vector<EmulatedStream*> all;
  {
    const std::lock_guard lock(queues());
    all = streams();
  }
  for (EmulatedStream* stream : all) stream->drain();
}

}  // namespace espalier::shim
