#include "binding/node/errors.h"

namespace espalier::node {

Napi::Value error_value(Napi::Env env, const Status& status) {
  const std::string text =
      status.op().empty() ? status.message() : status.op() + ": " + status.message();
  Napi::Object error = Napi::Error::New(env, text).Value();
  error.Set("code", Napi::String::New(env, std::string(name_of(status.code()))));
  error.Set("op", Napi::String::New(env, status.op()));
  return error;
}

}  // namespace espalier::node
