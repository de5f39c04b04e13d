#include "binding/node/mapped_file_object.h"

#include <utility>

#include "binding/node/environment.h"

namespace espalier::node {
namespace {

constexpr napi_type_tag kMappedFileTag = {0x6573'7061'6c69'6572ULL, 0x6d61'7066'696c'0001ULL};

thread_local std::shared_ptr<MappedFile>* under_construction = nullptr;

}  // namespace

Napi::Function MappedFileObject::define(Napi::Env env) {
  return DefineClass(env, "NativeMappedFile", {});
}

Napi::Value MappedFileObject::wrap(Napi::Env env, std::shared_ptr<MappedFile> file) {
  under_construction = &file;
  const Napi::Object object = Environment::of(env).mapped_file_class.New({});
  under_construction = nullptr;
  return object;
}

MappedFileObject* MappedFileObject::from(Napi::Value value) {
  if (!value.IsObject()) return nullptr;
  bool ours = false;
  if (napi_check_object_type_tag(value.Env(), value, &kMappedFileTag, &ours) != napi_ok || !ours) {
    return nullptr;
  }
  return Unwrap(value.As<Napi::Object>());
}

MappedFileObject::MappedFileObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  if (under_construction == nullptr) {
    throw Napi::TypeError::New(info.Env(),
                               "NativeMappedFile cannot be constructed from JavaScript");
  }
  file_ = std::move(*under_construction);
  napi_type_tag_object(info.Env(), info.This(), &kMappedFileTag);
}

}  // namespace espalier::node
