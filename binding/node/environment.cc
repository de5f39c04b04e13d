#include "binding/node/environment.h"

#include <algorithm>
#include <atomic>

#include "binding/node/devices.h"
#include "binding/node/errors.h"

namespace espalier::node {
namespace {

// Called on the JavaScript thread for each post; opens all letters that have arrived by then.
void on_post(napi_env env, napi_value /*callback*/, void* context, void* /*data*/);

// The environment ends: take its queued work out of the stream before its memory goes.
void on_environment_end(void* data) {
  auto* environment = static_cast<Environment*>(data);
  environment->mailbox->close();
  for (Device* device : devices()) device->stream().cancel(environment->owner);
  environment->mailbox->free_in_flight();
}

}  // namespace

Mailbox::Mailbox(Napi::Env env) : env_(env) {
  napi_value name = Napi::String::New(env, "espalier reads");
  const napi_status status = napi_create_threadsafe_function(
      env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this, on_post, &channel_);
  if (status != napi_ok) throw Napi::Error::New(env, "espalier: could not create its mailbox");
  // Only reads in flight keep the process alive, see expect().
  napi_unref_threadsafe_function(env, channel_);
}

void Mailbox::expect(PendingRead* read) {
  if (in_flight_.empty()) napi_ref_threadsafe_function(env_, channel_);
  in_flight_.push_back(read);
}

void Mailbox::post(PendingRead* read) {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  finished_.push_back(read);
  napi_call_threadsafe_function(channel_, nullptr, napi_tsfn_nonblocking);
}

void Mailbox::settle(Napi::Env env) {
  const Napi::HandleScope scope(env);
  std::vector<PendingRead*> finished;
  {
    const std::lock_guard lock(mutex_);
    finished.swap(finished_);
  }
  for (PendingRead* read : finished) {
    std::erase(in_flight_, read);
    const std::unique_ptr<PendingRead> owned(read);
    try {
      if (read->status.ok()) {
        read->deferred.Resolve(read->result.Value());
      } else {
        read->deferred.Reject(error_value(env, read->status));
      }
    } catch (const Napi::Error&) {
      // The thread is being terminated: nobody is left to hear of this read.
    }
  }
  if (in_flight_.empty()) napi_unref_threadsafe_function(env, channel_);
}

void Mailbox::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  finished_.clear();
}

void Mailbox::free_in_flight() {
  for (PendingRead* read : in_flight_) delete read;
  in_flight_.clear();
}

namespace {

void on_post(napi_env env, napi_value /*callback*/, void* context, void* /*data*/) {
  if (env != nullptr) static_cast<Mailbox*>(context)->settle(env);
}

}  // namespace

Environment::Environment(Napi::Env env) : mailbox(std::make_shared<Mailbox>(env)) {
  static std::atomic<OwnerId> next_owner{1};
  owner = next_owner++;
  Stream::set_thread_owner(owner);
  napi_add_env_cleanup_hook(env, on_environment_end, this);
}

}  // namespace espalier::node
