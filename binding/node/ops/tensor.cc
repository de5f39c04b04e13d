// Making tensors, looking at them, and letting them go.
#include <condition_variable>
#include <cstring>
#include <mutex>

#include "binding/cpu/cpu_backend.h"
#include "binding/node/devices.h"
#include "binding/node/environment.h"
#include "binding/node/errors.h"
#include "binding/node/mapped_file_object.h"
#include "binding/node/registry.h"
#include "binding/ops/to_device.h"

namespace espalier::node {
namespace {

napi_typedarray_type array_type_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return napi_float32_array;
    case DType::f64:
      return napi_float64_array;
    case DType::i32:
      return napi_int32_array;
    case DType::i64:
      return napi_bigint64_array;
    case DType::bf16:
    case DType::f16:
      return napi_uint16_array;
    case DType::u8:
      return napi_uint8_array;
  }
  return napi_uint8_array;
}

// The engine's own constructor throws RangeError when memory is short; Node-API's function aborts.
Napi::ArrayBuffer new_array_buffer(const Arguments& a, size_t bytes) {
  const Napi::Env env = a.env();
  const Napi::Value made = env.Global()
                               .Get("ArrayBuffer")
                               .As<Napi::Function>()
                               .New({Napi::Number::New(env, static_cast<double>(bytes))});
  if (!made.IsArrayBuffer() || made.As<Napi::ArrayBuffer>().ByteLength() != bytes) {
    throw Error(ErrorCode::out_of_memory, a.op(), "could not make an ArrayBuffer");
  }
  return made.As<Napi::ArrayBuffer>();
}

Napi::Value typed_array_over(Napi::Env env, Napi::ArrayBuffer buffer, const Tensor& tensor) {
  napi_value array = nullptr;
  const napi_status status =
      napi_create_typedarray(env, array_type_of(tensor.dtype()),
                             static_cast<size_t>(tensor.shape().elements()), buffer, 0, &array);
  if (status != napi_ok) throw Napi::Error::New(env);
  return {env, array};
}

Task read_task(const Tensor& tensor, void* target) {
  return {.op = "read",
          .reads = {tensor},
          .writes = {},
          .run =
              [tensor, target](Backend& backend) {
                if (tensor.bytes() == 0) return Status();
                return backend.copy_to_host(target, tensor.const_view());
              },
          .done = {}};
}

// tensorFrom(typedArray, shape, dtype, device) -> tensor
const Registration kFrom("tensorFrom", [](const Arguments& a) -> Napi::Value {
  if (!a.value(0).IsTypedArray()) {
    throw Error(ErrorCode::config, a.op(), "data: expected a typed array");
  }
  const auto array = a.value(0).As<Napi::TypedArray>();
  const Tensor tensor(device_named(a.op(), a.text(3, "device")), a.shape(1, "shape"),
                      a.dtype(2, "dtype"));
  napi_typedarray_type type{};
  size_t length = 0;
  void* data = nullptr;
  napi_get_typedarray_info(a.env(), array, &type, &length, &data, nullptr, nullptr);
  if (type != array_type_of(tensor.dtype())) {
    throw Error(ErrorCode::dtype, a.op(),
                "data: expected the typed array of " + std::string(name_of(tensor.dtype())) +
                    ", got another kind");
  }
  if (static_cast<int64_t>(length) != tensor.shape().elements()) {
    throw Error(ErrorCode::shape, a.op(),
                "data: expected " + std::to_string(tensor.shape().elements()) +
                    " elements for shape " + tensor.shape().text() + ", got " +
                    std::to_string(length));
  }
  auto staged = std::make_shared<std::vector<std::byte>>(tensor.bytes());
  if (!staged->empty()) std::memcpy(staged->data(), data, staged->size());
  tensor.device().stream().submit({.op = "tensorFrom",
                                   .reads = {},
                                   .writes = {tensor},
                                   .run =
                                       [tensor, staged](Backend& backend) {
                                         return backend.copy_from_host(tensor.view(),
                                                                       staged->data());
                                       },
                                   .done = {}});
  return a.wrap(tensor);
});

// tensorZeros(shape, dtype, device) -> tensor
const Registration kZeros("tensorZeros", [](const Arguments& a) -> Napi::Value {
  const Tensor tensor(device_named(a.op(), a.text(2, "device")), a.shape(0, "shape"),
                      a.dtype(1, "dtype"));
  tensor.device().stream().submit(
      {.op = "tensorZeros",
       .reads = {},
       .writes = {tensor},
       .run = [tensor](Backend& backend) { return backend.clear(tensor.view()); },
       .done = {}});
  return a.wrap(tensor);
});

// tensorInfo(tensor) -> { shape, dtype, device }
const Registration kInfo("tensorInfo", [](const Arguments& a) -> Napi::Value {
  const Tensor tensor = a.tensor(0, "tensor");
  Napi::Array shape = Napi::Array::New(a.env());
  for (size_t axis = 0; axis < tensor.shape().rank(); ++axis) {
    shape.Set(static_cast<uint32_t>(axis),
              Napi::Number::New(a.env(), static_cast<double>(tensor.shape().dims()[axis])));
  }
  Napi::Object info = Napi::Object::New(a.env());
  info.Set("shape", shape);
  info.Set("dtype", Napi::String::New(a.env(), std::string(name_of(tensor.dtype()))));
  info.Set("device", Napi::String::New(a.env(), tensor.device().name()));
  return info;
});

// tensorReshape(tensor, shape) -> tensor
const Registration kReshape("tensorReshape", [](const Arguments& a) -> Napi::Value {
  return a.wrap(a.tensor(0, "tensor").reshape(a.shape(1, "shape")));
});

// tensorSlice(tensor, start, end) -> tensor
const Registration kSlice("tensorSlice", [](const Arguments& a) -> Napi::Value {
  return a.wrap(a.tensor(0, "tensor").slice(a.integer(1, "start"), a.integer(2, "end")));
});

// tensorCopyInto(target, source): copies source into target, same dtype and element count.
const Registration kCopyInto("tensorCopyInto", [](const Arguments& a) -> Napi::Value {
  const Tensor target = a.tensor(0, "target");
  const Tensor source = a.tensor(1, "source");
  if (target.dtype() != source.dtype()) {
    throw Error(ErrorCode::dtype, a.op(),
                "source: expected " + std::string(name_of(target.dtype())) + ", got " +
                    std::string(name_of(source.dtype())));
  }
  if (target.shape().elements() != source.shape().elements()) {
    throw Error(ErrorCode::shape, a.op(),
                "source: expected as many elements as " + target.shape().text() + ", got " +
                    source.shape().text());
  }
  if (target.overlaps(source)) {
    throw Error(ErrorCode::config, a.op(), "source: expected memory apart from target");
  }
  // A partial write keeps the rest of the target, so the target is read as well.
  ops::submit("tensorCopyInto", {source, target}, {target}, [target, source](Backend& backend) {
    return backend.copy(target.view(), source.const_view());
  });
  return a.env().Undefined();
});

// tensorTo(tensor, device) -> tensor
const Registration kTo("tensorTo", [](const Arguments& a) -> Napi::Value {
  return a.wrap(ops::to_device(a.tensor(0, "tensor"), device_named(a.op(), a.text(1, "device"))));
});

// tensorRead(tensor) -> Promise<typed array>
const Registration kRead("tensorRead", [](const Arguments& a) -> Napi::Value {
  const Napi::Env env = a.env();
  const Tensor tensor = a.tensor(0, "tensor");
  const Napi::ArrayBuffer buffer = new_array_buffer(a, tensor.bytes());
  auto* read =
      new PendingRead{Napi::Promise::Deferred::New(env),
                      Napi::Reference<Napi::Value>::New(typed_array_over(env, buffer, tensor), 1),
                      {}};
  const std::shared_ptr<Mailbox> mailbox = Environment::of(env).mailbox;
  Task task = read_task(tensor, const_cast<Napi::ArrayBuffer&>(buffer).Data());
  task.done = [mailbox, read](const Status& status) {
    read->status = status;
    mailbox->post(read);
  };
  mailbox->expect(read);
  tensor.device().stream().submit(std::move(task));
  return read->deferred.Promise();
});

// tensorReadSync(tensor) -> typed array; waits for the stream
const Registration kReadSync("tensorReadSync", [](const Arguments& a) -> Napi::Value {
  const Tensor tensor = a.tensor(0, "tensor");
  Napi::ArrayBuffer buffer = new_array_buffer(a, tensor.bytes());
  std::mutex mutex;
  std::condition_variable finished;
  bool done = false;
  Status outcome;
  Task task = read_task(tensor, buffer.Data());
  task.done = [&](const Status& status) {
    const std::lock_guard lock(mutex);
    outcome = status;
    done = true;
    finished.notify_one();
  };
  tensor.device().stream().submit(std::move(task));
  std::unique_lock lock(mutex);
  finished.wait(lock, [&] { return done; });
  if (!outcome.ok()) throw Error(outcome);
  return typed_array_over(a.env(), buffer, tensor);
});

// tensorDispose(tensor)
const Registration kDispose("tensorDispose", [](const Arguments& a) -> Napi::Value {
  static_cast<void>(a.tensor(0, "tensor"));  // refuses what is none
  Environment::of(a.env()).tensors.dispose(a.env(), a.value(0));
  return a.env().Undefined();
});

// mappedFileOpen(path) -> file
const Registration kOpen("mappedFileOpen", [](const Arguments& a) -> Napi::Value {
  return MappedFileObject::wrap(a.env(), MappedFile::open(a.text(0, "path")));
});

const std::shared_ptr<MappedFile>& file_of(const Arguments& a) {
  const MappedFileObject* object = MappedFileObject::from(a.value(0));
  if (object == nullptr) throw Error(ErrorCode::config, a.op(), "file: expected a mapped file");
  if (object->file() == nullptr) {
    throw Error(ErrorCode::config, a.op(), "file: the mapping has been closed");
  }
  return object->file();
}

// mappedFileBytes(file) -> number
const Registration kBytes("mappedFileBytes", [](const Arguments& a) -> Napi::Value {
  return Napi::Number::New(a.env(), static_cast<double>(file_of(a)->bytes()));
});

// mappedFileTensor(file, offset, shape, dtype) -> tensor
const Registration kTensor("mappedFileTensor", [](const Arguments& a) -> Napi::Value {
  const int64_t offset = a.integer(1, "offset");
  if (offset < 0) throw Error(ErrorCode::shape, a.op(), "offset: expected a number >= 0");
  return a.wrap(Tensor(cpu::cpu_device(), file_of(a), static_cast<size_t>(offset),
                       a.shape(2, "shape"), a.dtype(3, "dtype")));
});

// mappedFileClose(file)
const Registration kClose("mappedFileClose", [](const Arguments& a) -> Napi::Value {
  MappedFileObject* object = MappedFileObject::from(a.value(0));
  if (object == nullptr) throw Error(ErrorCode::config, a.op(), "file: expected a mapped file");
  object->close();
  return a.env().Undefined();
});

}  // namespace
}  // namespace espalier::node
