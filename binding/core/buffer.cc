#include "binding/core/buffer.h"

#include <utility>

#include "binding/core/device.h"
#include "binding/core/mapped_file.h"

namespace espalier {

Buffer::Buffer(Device& device, std::shared_ptr<MappedFile> file, size_t offset, size_t bytes)
    : device_(device),
      bytes_(bytes),
      data_(bytes == 0 ? nullptr : const_cast<std::byte*>(file->data() + offset)),
      file_(std::move(file)),
      file_offset_(offset) {}

Buffer::~Buffer() {
  if (file_ != nullptr) {
    file_->drop_pages(file_offset_, bytes_);
  } else if (arrival_ != nullptr) {
    release_after_upload();
  } else if (data_ != nullptr) {
    device_.pool().release(data_, bytes_);
  }
}

// The copy may still be writing; the stream waits for it, not this thread.
void Buffer::release_after_upload() {
  const auto release = [&device = device_, data = data_, bytes = bytes_](const Status&) {
    device.pool().release(data, bytes);
  };
  try {
    device_.stream().submit_for(
        Stream::kNobody,
        {.op = "upload",
         .reads = {},
         .writes = {},
         .run = [arrival = arrival_](Backend& backend) { return backend.await(*arrival); },
         .done = release});
  } catch (const std::exception&) {
    // Without memory for a task the block is lost; to hand it out again would be worse.
  }
}

void Buffer::expect(std::unique_ptr<Mark> arrival) { arrival_ = std::move(arrival); }

Status Buffer::await_upload() {
  if (arrival_ == nullptr) return {};
  Status status = device_.backend().await(*arrival_);
  arrival_.reset();
  if (!status.ok()) failure_ = status;
  return status;
}

Status Buffer::materialize() {
  if (data_ != nullptr || bytes_ == 0) return {};
  data_ = device_.pool().allocate(bytes_);
  if (data_ != nullptr) return {};
  return {ErrorCode::out_of_memory,
          "could not allocate " + std::to_string(bytes_) + " bytes on " + device_.name()};
}

}  // namespace espalier
