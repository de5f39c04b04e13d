// What the addon keeps per JavaScript environment (main thread or worker).
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "binding/core/status.h"
#include "binding/core/stream.h"
#include "binding/node/napi_setup.h"
#include "binding/node/tensor_handles.h"

namespace espalier::node {

/// A read in flight: the promise to settle, and the array the dispatcher thread writes into.
struct PendingRead {
  Napi::Promise::Deferred deferred;
  Napi::Reference<Napi::Value> result;  ///< what the promise resolves to; keeps its memory alive
  Status status;                        ///< set by the dispatcher before it posts
};

/// Bridges the dispatcher threads, which outlive any environment, to one environment's thread.
/// Dispatchers hold it by shared_ptr and may post after the environment has closed; such posts are
/// dropped.
class Mailbox {
 public:
  /// A mailbox whose letters are opened on the thread of `env`.
  explicit Mailbox(Napi::Env env);

  /// Registers a read; the process stays alive while one is in flight. JavaScript thread.
  void expect(PendingRead* read);
  /// Hands a finished read over. Dispatcher thread.
  void post(PendingRead* read);
  /// Settles the reads that have been posted. JavaScript thread.
  void settle(Napi::Env env);
  /// Refuses later posts. JavaScript thread, at its end.
  void close();
  /// Releases reads that were never settled; after close(), once no dispatcher writes into them.
  void free_in_flight();

 private:
  std::mutex mutex_;
  bool closed_ = false;
  std::vector<PendingRead*> finished_;
  std::vector<PendingRead*> in_flight_;  // JavaScript thread only
  napi_threadsafe_function channel_ = nullptr;
  Napi::Env env_;
};

/// Instance data of the addon.
struct Environment {
  /// Starts the mailbox and takes an owner id for this thread's tasks.
  explicit Environment(Napi::Env env);

  std::shared_ptr<Mailbox> mailbox;
  OwnerId owner;
  TensorHandles tensors;
  Napi::FunctionReference mapped_file_class;

  /// The instance data of `env`.
  static Environment& of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }
};

}  // namespace espalier::node
