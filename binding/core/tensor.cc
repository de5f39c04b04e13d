#include "binding/core/tensor.h"

#include <string>

#include "binding/core/mapped_file.h"

namespace espalier {
namespace {

size_t checked_bytes(const Shape& shape, DType dtype) {
  // At most 2^53 elements of at most 8 bytes: fits 64 bits.
  return static_cast<size_t>(shape.elements()) * size_of(dtype);
}

}  // namespace

Tensor::Tensor(Device& device, Shape shape, DType dtype)
    : buffer_(std::make_shared<Buffer>(device, checked_bytes(shape, dtype))),
      shape_(shape),
      dtype_(dtype) {}

Tensor::Tensor(Device& device, std::shared_ptr<MappedFile> file, size_t offset, Shape shape,
               DType dtype)
    : shape_(shape), dtype_(dtype) {
  const size_t bytes = checked_bytes(shape, dtype);
  if (offset > file->bytes() || bytes > file->bytes() - offset) {
    throw Error(ErrorCode::shape, "mappedFile",
                "bytes " + std::to_string(offset) + " to " + std::to_string(offset + bytes) +
                    " leave the file of " + std::to_string(file->bytes()) + " bytes");
  }
  if (offset % size_of(dtype) != 0) {
    throw Error(ErrorCode::shape, "mappedFile",
                "offset must be a multiple of the element size " + std::to_string(size_of(dtype)) +
                    ", got " + std::to_string(offset));
  }
  buffer_ = std::make_shared<Buffer>(device, std::move(file), offset, bytes);
}

bool Tensor::overlaps(const Tensor& other) const {
  return buffer_ == other.buffer_ && bytes() > 0 && other.bytes() > 0 &&
         offset_ < other.offset_ + other.bytes() && other.offset_ < offset_ + bytes();
}

Tensor Tensor::reshape(const Shape& shape) const {
  if (shape.elements() != shape_.elements()) {
    throw Error(ErrorCode::shape, "reshape",
                "expected " + std::to_string(shape_.elements()) + " elements as in " +
                    shape_.text() + ", got " + shape.text());
  }
  return {buffer_, offset_, shape, dtype_};
}

Tensor Tensor::slice(int64_t start, int64_t end) const {
  if (shape_.rank() == 0) throw Error(ErrorCode::shape, "slice", "a scalar has no rows to slice");
  if (start < 0 || start > end || end > shape_[0]) {
    throw Error(ErrorCode::shape, "slice",
                "expected 0 <= start <= end <= " + std::to_string(shape_[0]) + ", got [" +
                    std::to_string(start) + ", " + std::to_string(end) + ")");
  }
  const int64_t stride = shape_[0] == 0 ? 0 : shape_.elements() / shape_[0];
  std::vector<int64_t> dims(shape_.dims().begin(), shape_.dims().end());
  dims[0] = end - start;
  return {buffer_, offset_ + static_cast<size_t>(start * stride) * size_of(dtype_),
          Shape(std::span<const int64_t>(dims)), dtype_};
}

View Tensor::view() const {
  auto* base = static_cast<std::byte*>(buffer_->data());
  return {base == nullptr ? nullptr : base + offset_, dtype_, shape_};
}

ConstView Tensor::const_view() const {
  const View writable = view();
  // A given tensor without elements still has to look given: any non-null address will do.
  static constexpr std::byte kEmpty{};
  return {writable.data == nullptr ? &kEmpty : writable.data, dtype_, shape_};
}

}  // namespace espalier
