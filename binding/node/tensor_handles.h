// The tensors that JavaScript holds.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "binding/core/tensor.h"
#include "binding/node/napi_setup.h"

namespace espalier::node {

/// The tensors of one environment, by the handles that JavaScript has for them. A handle is an
/// empty object that the engine ties to a number, where no script can see or imitate it; a number,
/// not an address, so that nothing foreign leads anywhere. Disposing a handle unties it and drops
/// its share of the memory; queued work keeps its own.
class TensorHandles {
 public:
  TensorHandles() = default;
  TensorHandles(const TensorHandles&) = delete;
  TensorHandles& operator=(const TensorHandles&) = delete;

  /// A new handle of `tensor`.
  Napi::Value make(Napi::Env env, const Tensor& tensor);
  /// The tensor behind `handle`; null when that was disposed or is anything but one of ours.
  [[nodiscard]] const Tensor* find(Napi::Value handle) const;
  /// Lets go of the tensor behind `handle`, if there is one.
  void dispose(Napi::Env env, Napi::Value handle);

  /// Handles that are not disposed.
  [[nodiscard]] size_t live() const { return entries_.size(); }
  /// Handles that the garbage collector took before they were disposed.
  [[nodiscard]] size_t leaked() const { return leaked_; }

 private:
  /// A tensor, and what ties its handle to its number.
  struct Entry {
    Tensor tensor;
    napi_ref tie;
  };
  using Entries = std::unordered_map<uint64_t, Entry>;

  static void on_collected(napi_env env, void* data, void* hint);
  void remove(Napi::BasicEnv env, Entries::iterator entry);
  // Adds to the native bytes that handles hold, and tells the garbage collector when the sum has
  // moved by more than a gigabyte: it starts a collection of everything for every 64 MB it hears
  // of, while tensors are disposed long before it could help.
  void account(Napi::BasicEnv env, int64_t bytes);

  Entries entries_;
  uint64_t made_ = 0;
  size_t leaked_ = 0;
  int64_t held_bytes_ = 0;
  int64_t reported_bytes_ = 0;
};

}  // namespace espalier::node
