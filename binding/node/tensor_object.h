// The JavaScript object that holds a tensor.
#pragma once

#include <optional>

#include "binding/core/tensor.h"
#include "binding/node/napi_setup.h"

namespace espalier::node {

/// NativeTensor in JavaScript: made by the addon only, read through the addon's functions.
/// Disposing it drops this handle's share of the memory; queued work keeps its own.
class TensorObject : public Napi::ObjectWrap<TensorObject> {
 public:
  /// Defines the class in `env`.
  static Napi::Function define(Napi::Env env);
  /// A new object holding `tensor`.
  static Napi::Value wrap(Napi::Env env, const Tensor& tensor);
  /// The object behind `value`, or null when it is anything but one of ours.
  static TensorObject* from(Napi::Value value);

  /// Called by the engine; throws when JavaScript calls the constructor itself.
  explicit TensorObject(const Napi::CallbackInfo& info);
  /// Called by the engine when the object is collected: a tensor that nobody disposed is counted.
  void Finalize(Napi::BasicEnv env) override;

  /// The tensor; empty once disposed.
  [[nodiscard]] const std::optional<Tensor>& tensor() const { return tensor_; }
  /// Lets go of the tensor. Idempotent.
  void dispose(Napi::Env env);

 private:
  std::optional<Tensor> tensor_;
};

}  // namespace espalier::node
