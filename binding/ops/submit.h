// What every op does after its checks: hand the work to the stream of its device.
#pragma once

#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "binding/core/device.h"
#include "binding/core/tensor.h"

namespace espalier::ops {

/// An argument that may be left out.
using OptionalTensor = std::optional<Tensor>;

/// View of an optional argument for the kernel: "not given" when empty. Dispatcher thread.
inline ConstView view_of(const OptionalTensor& tensor) {
  return tensor ? tensor->const_view() : ConstView{};
}

/// Writable view of an optional output: null data when empty. Dispatcher thread.
inline View writable_view_of(const OptionalTensor& tensor) {
  return tensor ? tensor->view() : View{};
}

/// Queues `run(backend)` on the stream of the device that owns the first tensor. `reads` and
/// `writes` may hold std::nullopt for arguments not given. Throws Error DEVICE_MISMATCH when the
/// tensors live on different devices and CONFIG when an output is a read-only mapping.
template <class Run>
void submit(const char* op, std::span<const OptionalTensor> reads,
            std::span<const OptionalTensor> writes, Run&& run) {
  Task task{.op = op, .reads = {}, .writes = {}, .run = std::forward<Run>(run), .done = {}};
  Device* device = nullptr;
  const auto collect = [&](const OptionalTensor& tensor, std::vector<Tensor>& into) {
    if (!tensor) return;
    if (device == nullptr) device = &tensor->device();
    if (device != &tensor->device()) {
      throw Error(
          ErrorCode::device_mismatch, op,
          "expected all tensors on " + device->name() + ", got one on " + tensor->device().name());
    }
    into.push_back(*tensor);
  };
  for (const OptionalTensor& tensor : reads) collect(tensor, task.reads);
  for (const OptionalTensor& tensor : writes) {
    if (tensor && tensor->buffer()->read_only()) {
      throw Error(ErrorCode::config, op, "cannot write into a mapped file");
    }
    collect(tensor, task.writes);
  }
  device->stream().submit(std::move(task));
}

/// submit() with the tensors listed in place.
template <class Run>
void submit(const char* op, std::initializer_list<OptionalTensor> reads,
            std::initializer_list<OptionalTensor> writes, Run&& run) {
  submit(op, std::span(reads.begin(), reads.size()), std::span(writes.begin(), writes.size()),
         std::forward<Run>(run));
}

}  // namespace espalier::ops
