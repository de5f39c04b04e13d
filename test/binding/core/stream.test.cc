#include "binding/core/stream.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <stdexcept>
#include <thread>

#include "test/binding/devices.h"

namespace espalier::test {
namespace {

// A task that writes `value` into every element of `target`, reading `sources`.
Task fill_task(const Tensor& target, float value, std::vector<Tensor> sources = {}) {
  return {.op = "fill",
          .reads = std::move(sources),
          .writes = {target},
          .run =
              [=](Backend&) {
                const View view = target.view();
                std::fill_n(view.as<float>(), view.shape.elements(), value);
                return Status();
              },
          .done = {}};
}

Task failing_task(const Tensor& target) {
  return {.op = "fail",
          .reads = {},
          .writes = {target},
          .run = [](Backend&) { return Status(ErrorCode::numeric, "it did not converge"); },
          .done = {}};
}

Status status_of(const Tensor& tensor) {
  std::vector<float> ignored;
  return download(tensor, ignored);
}

TEST_CASE("tasks run in the order they were queued, from several threads too") {
  Device& device = cpu::cpu_device();
  std::vector<std::pair<int, int>> order;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 200; ++i) {
        device.stream().submit({.op = "note",
                                .reads = {},
                                .writes = {},
                                .run =
                                    [&order, thread, i](Backend&) {
                                      order.emplace_back(thread, i);
                                      return Status();
                                    },
                                .done = {}});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  REQUIRE(run(device, {.op = "wait",
                       .reads = {},
                       .writes = {},
                       .run = [](Backend&) { return Status(); },
                       .done = {}})
              .ok());
  REQUIRE(order.size() == 800);
  int next[4] = {};
  for (const auto& [thread, i] : order) CHECK(i == next[thread]++);
}

TEST_CASE("a failed op poisons what depends on it, names itself, and nothing else") {
  Device& device = cpu::cpu_device();
  const Tensor bad(device, {4}, DType::f32);
  const Tensor dependent(device, {4}, DType::f32);
  const Tensor indirect(device, {4}, DType::f32);
  const Tensor apart(device, {4}, DType::f32);
  device.stream().submit(failing_task(bad));
  device.stream().submit(fill_task(dependent, 1, {bad}));
  device.stream().submit(fill_task(indirect, 2, {apart, dependent}));
  device.stream().submit(fill_task(apart, 3));
  for (const Tensor& tensor : {bad, dependent, indirect}) {
    const Status status = status_of(tensor);
    CHECK(status.code() == ErrorCode::numeric);
    CHECK(status.op() == "fail");
    CHECK(status.message() == "it did not converge");
  }
  CHECK(download(apart) == std::vector<float>(4, 3));
}

TEST_CASE("a slice of a failed tensor is as unusable as the whole") {
  Device& device = cpu::cpu_device();
  const Tensor bad(device, {4, 2}, DType::f32);
  device.stream().submit(failing_task(bad));
  CHECK(status_of(bad.slice(1, 2)).code() == ErrorCode::numeric);
  CHECK(status_of(bad.reshape({8})).code() == ErrorCode::numeric);
}

TEST_CASE("exceptions inside a task become its failure") {
  Device& device = cpu::cpu_device();
  const auto throwing = [&](auto&& thrown) {
    return run(device, {.op = "throw",
                        .reads = {},
                        .writes = {},
                        .run = [&](Backend&) -> Status { throw thrown; },
                        .done = {}});
  };
  CHECK(throwing(std::bad_alloc()).code() == ErrorCode::out_of_memory);
  CHECK(throwing(std::runtime_error("text")).message() == "text");
  const Status status = throwing(Error(ErrorCode::format, "inner", "text"));
  CHECK(status.code() == ErrorCode::format);
  CHECK(status.op() == "inner");
}

TEST_CASE("a tensor too large to allocate fails with OUT_OF_MEMORY and leaves the device usable") {
  Device& device = cpu::cpu_device();
  const size_t before = device.pool().statistics().in_use;
  const auto fails = [&](const Shape& shape) {
    const Tensor huge(device, shape, DType::f64);
    const Tensor dependent(device, {1}, DType::f32);
    device.stream().submit({.op = "huge",
                            .reads = {},
                            .writes = {huge},
                            .run = [](Backend&) { return Status(); },
                            .done = {}});
    device.stream().submit(fill_task(dependent, 1, {huge}));
    const Status status = status_of(dependent);
    CHECK(status.code() == ErrorCode::out_of_memory);
    CHECK(status.op() == "huge");
  };
  fails({int64_t{1} << 53});
  fails({int64_t{1} << 46});
  const Tensor small(device, {4}, DType::f32);
  device.stream().submit(fill_task(small, 7));
  CHECK(download(small) == std::vector<float>(4, 7));
  const Tensor gone = small;
  CHECK(device.pool().statistics().in_use - before <= 64);
}

TEST_CASE("cancelling an owner takes out its tasks and no other's") {
  Device& device = cpu::cpu_device();
  std::promise<void> started;
  std::promise<void> release;
  const Tensor running(device, {1}, DType::f32);
  const Tensor queued(device, {1}, DType::f32);
  const Tensor foreign(device, {1}, DType::f32);
  std::atomic<int> aborted = 0;
  std::atomic<int> finished = 0;

  std::thread owner([&] {
    Stream::set_thread_owner(7001);
    Task task = fill_task(running, 1);
    task.run = [&, fill = task.run](Backend& backend) {
      started.set_value();
      release.get_future().wait();
      return fill(backend);
    };
    task.done = [&](const Status& status) { finished += status.ok() ? 1 : 0; };
    device.stream().submit(std::move(task));
    for (int i = 0; i < 3; ++i) {
      Task next = fill_task(queued, 2);
      next.done = [&](const Status& status) {
        aborted += status.code() == ErrorCode::aborted ? 1 : 0;
      };
      device.stream().submit(std::move(next));
    }
  });
  owner.join();
  std::thread other([&] {
    Stream::set_thread_owner(7002);
    device.stream().submit(fill_task(foreign, 3));
  });
  other.join();
  started.get_future().wait();
  CHECK(device.stream().pending() == 5);

  std::thread canceller([&] { device.stream().cancel(7001); });
  // The canceller takes the queued tasks at once, then waits for the running one.
  while (device.stream().pending() > 2) std::this_thread::yield();
  release.set_value();
  canceller.join();
  CHECK(finished == 1);
  CHECK(aborted == 3);
  CHECK(download(running) == std::vector<float>{1});
  CHECK(status_of(queued).code() == ErrorCode::aborted);
  CHECK(download(foreign) == std::vector<float>{3});
}

TEST_CASE("memory is taken just before the first op that writes it, and returned after the last") {
  Device& device = cpu::cpu_device();
  device.pool().reset_peak();
  const size_t before = device.pool().statistics().in_use;
  constexpr int64_t kElements = 1 << 20;
  // Each step needs its input and its output; a queue of 50 never needs more than those two.
  Tensor x(device, {kElements}, DType::f32);
  device.stream().submit(fill_task(x, 0));
  for (int i = 1; i <= 50; ++i) {
    const Tensor y(device, {kElements}, DType::f32);
    device.stream().submit(fill_task(y, static_cast<float>(i), {x}));
    x = y;
  }
  CHECK(download(x).front() == 50);
  CHECK(device.pool().statistics().peak - before <= 2 * kElements * sizeof(float));
}

}  // namespace
}  // namespace espalier::test
