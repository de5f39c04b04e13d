#include "binding/node/arguments.h"

#include <cmath>
#include <vector>

#include "binding/node/environment.h"

namespace espalier::node {
namespace {

std::string describe(Napi::Value value) {
  switch (value.Type()) {
    case napi_undefined:
      return "undefined";
    case napi_null:
      return "null";
    case napi_boolean:
      return value.As<Napi::Boolean>().Value() ? "true" : "false";
    case napi_number:
      return std::to_string(value.As<Napi::Number>().DoubleValue());
    case napi_string:
      return "a string";
    case napi_function:
      return "a function";
    case napi_symbol:
      return "a symbol";
    case napi_bigint:
      return "a bigint";
    default:
      return value.IsArray() ? "an array" : "an object";
  }
}

constexpr double kMaxSafeInteger = 9007199254740991.0;

bool is_safe_integer(Napi::Value value) {
  if (!value.IsNumber()) return false;
  const double number = value.As<Napi::Number>().DoubleValue();
  return std::trunc(number) == number && std::abs(number) <= kMaxSafeInteger;
}

}  // namespace

void Arguments::fail(const std::string& name, const char* expected, Napi::Value got) const {
  throw Error(ErrorCode::config, op_, name + ": expected " + expected + ", got " + describe(got));
}

Tensor Arguments::tensor_of(const Napi::Value& value, const std::string& name) const {
  const TensorHandles& tensors = Environment::of(value.Env()).tensors;
  const Tensor* tensor = tensors.find(value);
  if (tensor == nullptr) fail(name, "a tensor that has not been disposed", value);
  return *tensor;
}

Tensor Arguments::tensor(size_t index, const char* name) const {
  return tensor_of(info_[index], name);
}

std::vector<Tensor> Arguments::tensors(size_t index, const char* name) const {
  if (!info_[index].IsArray()) fail(name, "an array of tensors", info_[index]);
  const auto array = info_[index].As<Napi::Array>();
  std::vector<Tensor> result;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    result.push_back(tensor_of(array.Get(i), std::string(name) + "[" + std::to_string(i) + "]"));
  }
  return result;
}

ops::OptionalTensor Arguments::optional_tensor(size_t index, const char* name) const {
  const Napi::Value value = info_[index];
  if (value.IsUndefined() || value.IsNull()) return std::nullopt;
  return tensor(index, name);
}

double Arguments::number(size_t index, const char* name) const {
  if (!info_[index].IsNumber()) fail(name, "a number", info_[index]);
  return info_[index].As<Napi::Number>().DoubleValue();
}

int64_t Arguments::integer(size_t index, const char* name) const {
  if (!is_safe_integer(info_[index])) fail(name, "a whole number", info_[index]);
  return info_[index].As<Napi::Number>().Int64Value();
}

bool Arguments::boolean(size_t index, const char* name) const {
  if (!info_[index].IsBoolean()) fail(name, "true or false", info_[index]);
  return info_[index].As<Napi::Boolean>().Value();
}

std::string Arguments::text(size_t index, const char* name) const {
  if (!info_[index].IsString()) fail(name, "a string", info_[index]);
  return info_[index].As<Napi::String>().Utf8Value();
}

Shape Arguments::shape(size_t index, const char* name) const {
  if (!info_[index].IsArray()) fail(name, "an array of dimensions", info_[index]);
  const auto array = info_[index].As<Napi::Array>();
  const uint32_t rank = array.Length();
  if (rank > Shape::kMaxRank) fail(name, "at most 8 dimensions", info_[index]);
  std::vector<int64_t> dims;
  for (uint32_t axis = 0; axis < rank; ++axis) {
    const Napi::Value dim = array.Get(axis);
    if (!is_safe_integer(dim)) fail(name, "whole numbers as dimensions", dim);
    dims.push_back(dim.As<Napi::Number>().Int64Value());
  }
  return Shape(std::span<const int64_t>(dims));
}

Products Arguments::products(size_t index, const char* name) const {
  if (info_[index].IsUndefined()) return Products::f32;
  const std::string wanted = text(index, name);
  if (wanted != "f32" && wanted != "bf16") fail(name, "f32 or bf16", info_[index]);
  return wanted == "bf16" ? Products::bf16 : Products::f32;
}

DType Arguments::dtype(size_t index, const char* name) const {
  const auto dtype = parse_dtype(text(index, name));
  if (!dtype) fail(name, "one of f32, bf16, f16, f64, i64, i32, u8", info_[index]);
  return *dtype;
}

Napi::Value Arguments::wrap(const Tensor& tensor) const {
  return Environment::of(info_.Env()).tensors.make(info_.Env(), tensor);
}

Napi::Value Arguments::wrap(const ops::OptionalTensor& tensor) const {
  return tensor ? wrap(*tensor) : info_.Env().Undefined();
}

}  // namespace espalier::node
