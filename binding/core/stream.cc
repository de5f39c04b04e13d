#include "binding/core/stream.h"

#include <new>
#include <string>
#include <system_error>
#include <utility>

#include "binding/core/backend.h"

namespace espalier {
namespace {

thread_local OwnerId thread_owner = Stream::kNobody;

// For when not even a sentence can be stored: short enough for a string to need no memory.
Status no_memory_left() { return {ErrorCode::out_of_memory, "no memory left"}; }

void fail_outputs(const Task& task, const Status& failure) {
  for (const Tensor& output : task.writes) {
    try {
      output.buffer()->poison(failure);
    } catch (const std::bad_alloc&) {
      output.buffer()->poison(no_memory_left());
    }
  }
}

}  // namespace

void Stream::set_thread_owner(OwnerId owner) { thread_owner = owner; }

void Stream::submit(Task task) { submit_for(thread_owner, std::move(task)); }

void Stream::submit_for(OwnerId owner, Task task) {
  const std::lock_guard lock(mutex_);
  if (!started_) {
    try {
      std::thread([this] { loop(); }).detach();
    } catch (const std::system_error&) {
      throw Error(ErrorCode::out_of_memory, task.op,
                  "could not start the device's dispatcher thread");
    }
    started_ = true;
  }
  queue_.push_back({std::move(task), owner});
  wake_.notify_one();
}

void Stream::loop() {
  start_failure_ = backend_.start();
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return !queue_.empty(); });
    Entry entry = std::move(queue_.front());
    queue_.pop_front();
    running_ = true;
    running_owner_ = entry.owner;
    lock.unlock();
    execute(entry.task);
    // Buffers whose last holder was this task are freed before the next one allocates.
    entry.task = Task{};
    lock.lock();
    running_ = false;
    idle_.notify_all();
  }
}

Status Stream::attempt(Task& task) {
  // The buffers belong to other libraries' callers too, so nothing may escape from here.
  try {
    if (!start_failure_.ok()) return start_failure_;
    for (const Tensor& input : task.reads) {
      if (!input.buffer()->failure().ok()) return input.buffer()->failure();
      if (Status status = input.buffer()->await_upload(); !status.ok()) return status;
    }
    for (const Tensor& output : task.writes) {
      if (Status status = output.buffer()->await_upload(); !status.ok()) return status;
      if (Status status = output.buffer()->materialize(); !status.ok()) return status;
    }
    return task.run(backend_);
  } catch (const Error& error) {
    return error.status();
  } catch (const std::bad_alloc&) {
    return no_memory_left();
  } catch (const std::exception& error) {
    return {ErrorCode::unsupported, error.what()};
  }
}

void Stream::execute(Task& task) {
  Status status = attempt(task);
  try {
    if (!status.ok()) status = status.with_op(task.op);
  } catch (const std::bad_alloc&) {
    // It fails without its op's name.
  }
  if (!status.ok()) fail_outputs(task, status);
  if (task.done) task.done(status);
}

void Stream::cancel(OwnerId owner) {
  std::deque<Entry> cancelled;
  {
    std::unique_lock lock(mutex_);
    std::deque<Entry> kept;
    for (Entry& entry : queue_) {
      (entry.owner == owner ? cancelled : kept).push_back(std::move(entry));
    }
    queue_ = std::move(kept);
    idle_.wait(lock, [&] { return !running_ || running_owner_ != owner; });
  }
  const Status aborted(ErrorCode::aborted, "the environment that queued this work has ended");
  for (Entry& entry : cancelled) {
    fail_outputs(entry.task, aborted);
    if (entry.task.done) entry.task.done(aborted);
  }
}

size_t Stream::pending() {
  const std::lock_guard lock(mutex_);
  return queue_.size() + (running_ ? 1 : 0);
}

}  // namespace espalier
