// The JavaScript object that holds a mapped file.
#pragma once

#include <memory>

#include "binding/core/mapped_file.h"
#include "binding/node/napi_setup.h"

namespace espalier::node {

/// NativeMappedFile in JavaScript: made by openMappedFile. Closing it drops this handle's share;
/// tensors over the file keep the mapping alive.
class MappedFileObject : public Napi::ObjectWrap<MappedFileObject> {
 public:
  /// Defines the class in `env`.
  static Napi::Function define(Napi::Env env);
  /// A new object holding `file`.
  static Napi::Value wrap(Napi::Env env, std::shared_ptr<MappedFile> file);
  /// The object behind `value`, or null when it is anything but one of ours.
  static MappedFileObject* from(Napi::Value value);

  /// Called by the engine; throws when JavaScript calls the constructor itself.
  explicit MappedFileObject(const Napi::CallbackInfo& info);

  /// The mapping; null once closed.
  [[nodiscard]] const std::shared_ptr<MappedFile>& file() const { return file_; }
  /// Lets go of the mapping. Idempotent.
  void close() { file_.reset(); }

 private:
  std::shared_ptr<MappedFile> file_;
};

}  // namespace espalier::node
