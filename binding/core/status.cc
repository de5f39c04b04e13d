#include "binding/core/status.h"

namespace espalier {

std::string_view name_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::ok:
      return "OK";
    case ErrorCode::shape:
      return "SHAPE";
    case ErrorCode::dtype:
      return "DTYPE";
    case ErrorCode::device_mismatch:
      return "DEVICE_MISMATCH";
    case ErrorCode::device_unavailable:
      return "DEVICE_UNAVAILABLE";
    case ErrorCode::out_of_memory:
      return "OUT_OF_MEMORY";
    case ErrorCode::unsupported:
      return "UNSUPPORTED";
    case ErrorCode::format:
      return "FORMAT";
    case ErrorCode::aborted:
      return "ABORTED";
    case ErrorCode::config:
      return "CONFIG";
    case ErrorCode::numeric:
      return "NUMERIC";
  }
  return "CONFIG";
}

}  // namespace espalier
