#include "binding/node/tensor_object.h"

#include <utility>

#include "binding/core/device.h"
#include "binding/node/environment.h"

namespace espalier::node {
namespace {

// Marks our objects, so that nothing else can pass for one.
constexpr napi_type_tag kTensorTag = {0x6573'7061'6c69'6572ULL, 0x7465'6e73'6f72'0001ULL};

// What wrap() hands to the constructor; null when JavaScript calls the constructor itself.
thread_local const Tensor* under_construction = nullptr;

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

Napi::Function TensorObject::define(Napi::Env env) { return DefineClass(env, "NativeTensor", {}); }

Napi::Value TensorObject::wrap(Napi::Env env, const Tensor& tensor) {
  under_construction = &tensor;
  const Napi::Object object = Environment::of(env).tensor_class.New({});
  under_construction = nullptr;
  return object;
}

TensorObject* TensorObject::from(Napi::Value value) {
  if (!value.IsObject()) return nullptr;
  bool ours = false;
  if (napi_check_object_type_tag(value.Env(), value, &kTensorTag, &ours) != napi_ok || !ours) {
    return nullptr;
  }
  return Unwrap(value.As<Napi::Object>());
}

TensorObject::TensorObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  if (under_construction == nullptr) {
    throw Napi::TypeError::New(info.Env(), "NativeTensor cannot be constructed from JavaScript");
  }
  tensor_ = *under_construction;
  napi_type_tag_object(info.Env(), info.This(), &kTensorTag);
  Environment& environment = Environment::of(info.Env());
  ++environment.live_tensors;
  environment.account(info.Env(), held_bytes(*tensor_));
}

void TensorObject::Finalize(Napi::BasicEnv env) {
  if (!tensor_) return;
  Environment* environment = env.GetInstanceData<Environment>();
  if (environment == nullptr) return;
  --environment->live_tensors;
  ++environment->leaked_tensors;
  environment->account(env, -held_bytes(*tensor_));
  release(*std::exchange(tensor_, std::nullopt));
}

void TensorObject::dispose(Napi::Env env) {
  if (!tensor_) return;
  Environment& environment = Environment::of(env);
  --environment.live_tensors;
  environment.account(env, -held_bytes(*tensor_));
  release(*std::exchange(tensor_, std::nullopt));
}

}  // namespace espalier::node
