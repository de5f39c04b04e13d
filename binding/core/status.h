// How a call says that it failed: Status inside the streams and backends, Error for wrong
// arguments.
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <utility>

namespace espalier {

/// The closed set of failure codes; JavaScript sees the upper-case names as EspalierError.code.
enum class ErrorCode {
  ok,
  shape,
  dtype,
  device_mismatch,
  device_unavailable,
  out_of_memory,
  unsupported,
  format,
  aborted,
  config,
  numeric,
};

/// The code as JavaScript spells it, such as "OUT_OF_MEMORY".
std::string_view name_of(ErrorCode code);

/// Outcome of a backend call or a queued task: ok, or a code, the op that failed, and a sentence.
class [[nodiscard]] Status {
 public:
  /// Success.
  Status() = default;

  /// Failure; `op` may be empty, the stream then fills in the task's name.
  Status(ErrorCode code, std::string message, std::string op = {})
      : code_(code), op_(std::move(op)), message_(std::move(message)) {}

  /// True when nothing failed.
  [[nodiscard]] bool ok() const { return code_ == ErrorCode::ok; }
  /// The failure's class.
  [[nodiscard]] ErrorCode code() const { return code_; }
  /// The op that failed.
  [[nodiscard]] const std::string& op() const { return op_; }
  /// One sentence: what was expected and what came.
  [[nodiscard]] const std::string& message() const { return message_; }

  /// The same failure, attributed to `op` unless it already names one.
  [[nodiscard]] Status with_op(std::string_view op) const {
    Status named = *this;
    if (named.op_.empty()) named.op_ = op;
    return named;
  }

 private:
  ErrorCode code_ = ErrorCode::ok;
  std::string op_;
  std::string message_;
};

/// Thrown by the functions of ops/ for a wrong argument, and turned into an EspalierError by node/.
/// It never crosses into a backend.
class Error : public std::exception {
 public:
  /// Wraps a failure.
  explicit Error(Status status) : status_(std::move(status)) {}
  /// Shorthand for a failure of `op`.
  Error(ErrorCode code, std::string_view op, std::string message)
      : status_(code, std::move(message), std::string(op)) {}

  /// The failure itself.
  [[nodiscard]] const Status& status() const { return status_; }
  /// The sentence, for handlers of std::exception.
  [[nodiscard]] const char* what() const noexcept override { return status_.message().c_str(); }

 private:
  Status status_;
};

}  // namespace espalier
