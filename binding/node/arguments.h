// Checked access to the arguments of a native call. Nothing JavaScript passes is trusted: a missing
// or wrong argument throws Error CONFIG naming it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "binding/node/napi_setup.h"
#include "binding/ops/submit.h"

namespace espalier::node {

/// The arguments of one call to `op`.
class Arguments {
 public:
  /// Wraps a callback's arguments.
  Arguments(const char* op, const Napi::CallbackInfo& info) : op_(op), info_(info) {}

  /// The environment of the call.
  [[nodiscard]] Napi::Env env() const { return info_.Env(); }
  /// How many arguments came.
  [[nodiscard]] size_t count() const { return info_.Length(); }
  /// A tensor that has not been disposed.
  [[nodiscard]] Tensor tensor(size_t index, const char* name) const;
  /// A tensor, or nothing for undefined and null.
  [[nodiscard]] ops::OptionalTensor optional_tensor(size_t index, const char* name) const;
  /// An array of tensors that have not been disposed.
  [[nodiscard]] std::vector<Tensor> tensors(size_t index, const char* name) const;
  /// A number, NaN and infinities included.
  [[nodiscard]] double number(size_t index, const char* name) const;
  /// A whole number within ±2^53.
  [[nodiscard]] int64_t integer(size_t index, const char* name) const;
  /// true or false.
  [[nodiscard]] bool boolean(size_t index, const char* name) const;
  /// A string.
  [[nodiscard]] std::string text(size_t index, const char* name) const;
  /// An array of whole numbers >= 0 as a shape.
  [[nodiscard]] Shape shape(size_t index, const char* name) const;
  /// "f32" or "bf16", how products are multiplied; f32 when undefined.
  [[nodiscard]] Products products(size_t index, const char* name) const;
  /// A dtype's name.
  [[nodiscard]] DType dtype(size_t index, const char* name) const;
  /// The name of the op, for messages.
  [[nodiscard]] const char* op() const { return op_; }
  /// The raw value; undefined when missing.
  [[nodiscard]] Napi::Value value(size_t index) const { return info_[index]; }

  /// A tensor as a JavaScript object.
  [[nodiscard]] Napi::Value wrap(const Tensor& tensor) const;
  /// A tensor as a JavaScript object, or undefined.
  [[nodiscard]] Napi::Value wrap(const ops::OptionalTensor& tensor) const;

 private:
  [[nodiscard]] Tensor tensor_of(const Napi::Value& value, const std::string& name) const;
  [[noreturn]] void fail(const std::string& name, const char* expected, Napi::Value got) const;

  const char* op_;
  const Napi::CallbackInfo& info_;
};

}  // namespace espalier::node
