#include "binding/node/tensor_handles.h"

#include <utility>

#include "binding/core/device.h"
#include "binding/node/environment.h"

namespace espalier::node {
namespace {

// Numbers start where no address of any processor's user space can be: values that other addons
// make, which carry addresses, are never taken for ours.
constexpr uint64_t kFirst = uint64_t{0xe5} << 56;

// The number of a handle; 0 when it is none, or disposed.
uint64_t number_of(Napi::Value value) {
  void* data = nullptr;
  const bool tied = value.IsObject() && napi_unwrap(value.Env(), value, &data) == napi_ok;
  return tied ? reinterpret_cast<uintptr_t>(data) : 0;
}

// Mapped pages can be dropped at any time, so they put no pressure on the garbage collector.
int64_t held_bytes(const Tensor& tensor) {
  return tensor.buffer()->read_only() ? 0 : static_cast<int64_t>(tensor.bytes());
}

// Giving a gigabyte back to the system takes 100 ms. From this size on the dispatcher does it,
// unless it holds the memory anyway: the event loop must not wait.
constexpr size_t kLongRelease = size_t{4} << 20;

void release(Tensor tensor) {
  const std::shared_ptr<Buffer>& buffer = tensor.buffer();
  if (buffer->bytes() < kLongRelease || buffer.use_count() > 1) return;
  Stream& stream = tensor.device().stream();
  try {
    stream.submit({.op = "dispose",
                   .reads = {},
                   .writes = {},
                   .run = [moved = std::move(tensor)](Backend&) { return Status(); },
                   .done = {}});
  } catch (const Error&) {
    // Without a dispatcher the memory is returned here.
  }
}

}  // namespace

Napi::Value TensorHandles::make(Napi::Env env, const Tensor& tensor) {
  const uint64_t number = kFirst + made_++;
  const Napi::Object handle = Napi::Object::New(env);
  void* data = reinterpret_cast<void*>(number);
  napi_ref tie = nullptr;
  if (napi_wrap(env, handle, data, on_collected, nullptr, &tie) != napi_ok) {
    throw Napi::Error::New(env);
  }
  entries_.emplace(number, Entry{tensor, tie});
  account(env, held_bytes(tensor));
  return handle;
}

const Tensor* TensorHandles::find(Napi::Value handle) const {
  const auto entry = entries_.find(number_of(handle));
  return entry == entries_.end() ? nullptr : &entry->second.tensor;
}

void TensorHandles::dispose(Napi::Env env, Napi::Value handle) {
  const auto entry = entries_.find(number_of(handle));
  if (entry == entries_.end()) return;
  // Untied, a handle costs the garbage collector no more than its bytes.
  napi_remove_wrap(env, handle, nullptr);
  remove(env, entry);
}

// An ending environment collects its handles too, maybe after what they belong to.
void TensorHandles::on_collected(napi_env env, void* data, void* /*hint*/) {
  auto* environment = Napi::BasicEnv(env).GetInstanceData<Environment>();
  if (environment == nullptr) return;
  TensorHandles& handles = environment->tensors;
  const auto entry = handles.entries_.find(reinterpret_cast<uintptr_t>(data));
  if (entry == handles.entries_.end()) return;
  ++handles.leaked_;
  handles.remove(env, entry);
}

void TensorHandles::remove(Napi::BasicEnv env, Entries::iterator entry) {
  Entry removed = std::move(entry->second);
  entries_.erase(entry);
  napi_delete_reference(env, removed.tie);
  account(env, -held_bytes(removed.tensor));
  release(std::move(removed.tensor));
}

void TensorHandles::account(Napi::BasicEnv env, int64_t bytes) {
  constexpr int64_t kStep = int64_t{1} << 30;
  held_bytes_ += bytes;
  const int64_t unreported = held_bytes_ - reported_bytes_;
  if (unreported < kStep && unreported > -kStep) return;
  reported_bytes_ = held_bytes_;
  Napi::MemoryManagement::AdjustExternalMemory(env, unreported);
}

}  // namespace espalier::node
