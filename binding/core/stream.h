// The in-order queue of one device.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "binding/core/status.h"
#include "binding/core/tensor.h"

namespace espalier {

class Backend;

/// Who queued a task; work of one owner can be cancelled when its JavaScript environment ends.
using OwnerId = uint64_t;

/// One step of the stream.
struct Task {
  /// The op's name, for messages.
  const char* op = "";
  /// Tensors the step reads; if one is poisoned the step does not run and its outputs are poisoned.
  std::vector<Tensor> reads;
  /// Tensors the step writes; they are allocated just before it runs. A tensor that is updated in
  /// place stands here and in `reads`.
  std::vector<Tensor> writes;
  /// The work, on the dispatcher thread.
  std::function<Status(Backend&)> run;
  /// Called exactly once, on the dispatcher thread (or in cancel, with ABORTED), after the step ran
  /// or failed; may be empty.
  std::function<void(const Status&)> done;
};

/// Runs tasks one after the other on a dispatcher thread of its own, which is also the master of
/// the compute threads. The thread starts with the first task and lives as long as the process.
class Stream {
 public:
  /// A stream whose tasks call `backend`.
  explicit Stream(Backend& backend) : backend_(backend) {}

  /// The owner of work that is done whichever environment ends.
  static constexpr OwnerId kNobody = 0;

  /// Queues a task of the calling thread's owner and returns at once.
  void submit(Task task);
  /// Queues a task of `owner` and returns at once.
  void submit_for(OwnerId owner, Task task);
  /// Takes the queued tasks of `owner` out (their `done` is called with ABORTED) and waits until a
  /// running one of them has finished. Tensors they would have written are poisoned.
  void cancel(OwnerId owner);
  /// Number of tasks queued or running.
  size_t pending();

  /// Sets who is recorded as the owner of the tasks that the calling thread submits.
  static void set_thread_owner(OwnerId owner);

 private:
  struct Entry {
    Task task;
    OwnerId owner;
  };

  void loop();
  void execute(Task& task);
  Status attempt(Task& task);

  Backend& backend_;
  Status start_failure_;  // dispatcher thread only
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable idle_;
  std::deque<Entry> queue_;
  bool started_ = false;
  bool running_ = false;
  OwnerId running_owner_ = 0;
};

}  // namespace espalier
