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
  } else if (data_ != nullptr) {
    device_.pool().release(data_, bytes_);
  }
}

Status Buffer::materialize() {
  if (data_ != nullptr || bytes_ == 0) return {};
  data_ = device_.pool().allocate(bytes_);
  if (data_ != nullptr) return {};
  return {ErrorCode::out_of_memory,
          "could not allocate " + std::to_string(bytes_) + " bytes on " + device_.name()};
}

}  // namespace espalier
