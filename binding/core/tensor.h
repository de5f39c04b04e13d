// The tensor handle that ops take and return.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "binding/core/buffer.h"
#include "binding/core/dtype.h"
#include "binding/core/shape.h"

namespace espalier {

/// What a kernel gets to write: address, type and shape of contiguous row-major memory.
struct View {
  void* data = nullptr;
  DType dtype = DType::f32;
  Shape shape;

  /// The address as elements of T; the caller has checked the dtype.
  template <class T>
  [[nodiscard]] T* as() const {
    return static_cast<T*>(data);
  }
};

/// What a kernel gets to read. A default-made one (null data, zero columns) stands for "not given".
struct ConstView {
  const void* data = nullptr;
  DType dtype = DType::f32;
  Shape shape{0};

  /// The address as elements of T; the caller has checked the dtype.
  template <class T>
  [[nodiscard]] const T* as() const {
    return static_cast<const T*>(data);
  }
  /// False for an optional argument that was not given.
  [[nodiscard]] bool given() const { return data != nullptr; }
};

/// A contiguous row-major array on one device. Copies are cheap and share the memory; reshapes and
/// slices along the first dimension share it too.
class Tensor {
 public:
  /// A new tensor whose memory the stream allocates when the first op writes it.
  Tensor(Device& device, Shape shape, DType dtype);
  /// A read-only tensor over part of a mapped file. Throws Error SHAPE when the range leaves the
  /// file or `offset` is not a multiple of the element size.
  Tensor(Device& device, std::shared_ptr<MappedFile> file, size_t offset, Shape shape, DType dtype);

  /// The device that owns the memory.
  [[nodiscard]] Device& device() const { return buffer_->device(); }
  /// Dimensions.
  [[nodiscard]] const Shape& shape() const { return shape_; }
  /// Element type.
  [[nodiscard]] DType dtype() const { return dtype_; }
  /// Size in bytes.
  [[nodiscard]] size_t bytes() const {
    return static_cast<size_t>(shape_.elements()) * size_of(dtype_);
  }
  /// The memory, for aliasing checks and the stream.
  [[nodiscard]] const std::shared_ptr<Buffer>& buffer() const { return buffer_; }
  /// True when the two share at least one byte.
  [[nodiscard]] bool overlaps(const Tensor& other) const;

  /// The same elements under another shape. Throws Error SHAPE when the counts differ.
  [[nodiscard]] Tensor reshape(const Shape& shape) const;
  /// Rows [start, end) of the first dimension. Throws Error SHAPE when out of bounds.
  [[nodiscard]] Tensor slice(int64_t start, int64_t end) const;

  /// For the dispatcher thread, after materialization.
  [[nodiscard]] View view() const;
  /// For the dispatcher thread, after materialization.
  [[nodiscard]] ConstView const_view() const;

 private:
  Tensor(std::shared_ptr<Buffer> buffer, size_t offset, Shape shape, DType dtype)
      : buffer_(std::move(buffer)), offset_(offset), shape_(shape), dtype_(dtype) {}

  std::shared_ptr<Buffer> buffer_;
  size_t offset_ = 0;
  Shape shape_;
  DType dtype_;
};

}  // namespace espalier
