// The memory behind tensors: reference-counted, and owned by one device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "binding/core/status.h"

namespace espalier {

class Device;
class MappedFile;
class Mark;

/// A block of one device's memory. It exists from the moment an op is queued, but is allocated by
/// the stream just before the first op that writes it, so memory use follows the stream's order and
/// not how far ahead JavaScript has run. When the last tensor and the last queued task let go of
/// it, it returns to the pool.
class Buffer {
 public:
  /// A block that the stream will allocate from `device`'s pool.
  Buffer(Device& device, size_t bytes) : device_(device), bytes_(bytes) {}
  /// A read-only view of a mapped file; no copy is made. Its pages are dropped when it dies.
  Buffer(Device& device, std::shared_ptr<MappedFile> file, size_t offset, size_t bytes);
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer();

  /// The device whose stream may touch this block.
  [[nodiscard]] Device& device() const { return device_; }
  /// Size in bytes.
  [[nodiscard]] size_t bytes() const { return bytes_; }
  /// True for mapped files: no op may write it.
  [[nodiscard]] bool read_only() const { return file_ != nullptr; }

  // Below: dispatcher thread only.

  /// Allocates the block if that has not happened yet.
  Status materialize();
  /// Says that an upload is filling the block; whoever wants it calls await_upload first.
  void expect(std::unique_ptr<Mark> arrival);
  /// Lets the work that is queued from now on wait for the upload, if there is one.
  Status await_upload();
  /// Address of the block; null until materialized, and for zero bytes.
  [[nodiscard]] void* data() const { return data_; }
  /// Why the content cannot be used, or ok.
  [[nodiscard]] const Status& failure() const { return failure_; }
  /// Marks the content unusable; later ops that read it fail with the same status.
  void poison(const Status& failure) { failure_ = failure; }

 private:
  void release_after_upload();

  Device& device_;
  size_t bytes_;
  void* data_ = nullptr;
  Status failure_;
  std::shared_ptr<Mark> arrival_;  // of an upload that nobody has waited for
  std::shared_ptr<MappedFile> file_;
  size_t file_offset_ = 0;
};

}  // namespace espalier
