// Failures on their way to JavaScript.
#pragma once

#include "binding/core/status.h"
#include "binding/node/napi_setup.h"

namespace espalier::node {

/// A plain Error object with `code`, `op` and the message; ts/native turns it into EspalierError.
Napi::Value error_value(Napi::Env env, const Status& status);

/// Runs `body` and throws what it throws into JavaScript.
template <class Body>
Napi::Value guarded(Napi::Env env, Body&& body) {
  try {
    return body();
  } catch (const Error& error) {
    throw Napi::Error(env, error_value(env, error.status()));
  } catch (const std::bad_alloc&) {
    throw Napi::Error(env,
                      error_value(env, {ErrorCode::out_of_memory, "the host has no memory left"}));
  }
}

}  // namespace espalier::node
