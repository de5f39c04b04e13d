// Times of the steady clock: work on the CPU is done when a call returns.
#include <chrono>

#include "binding/cpu/cpu_backend.h"

namespace espalier::cpu {
namespace {

using Clock = std::chrono::steady_clock;

struct ClockMark final : Mark {
  Clock::time_point time = Clock::now();
};

}  // namespace

Status CpuBackend::mark(std::unique_ptr<Mark>& mark) {
  mark = std::make_unique<ClockMark>();
  return {};
}

Status CpuBackend::elapsed(const Mark& from, const Mark& to, double& seconds) {
  const auto time_of = [](const Mark& mark) { return static_cast<const ClockMark&>(mark).time; };
  seconds = std::chrono::duration<double>(time_of(to) - time_of(from)).count();
  return {};
}

}  // namespace espalier::cpu
