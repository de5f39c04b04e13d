// Dimensions of a tensor.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace espalier {

/// Up to eight dimensions of a row-major tensor; a rank of 0 is a scalar.
class Shape {
 public:
  /// Most dimensions a tensor can have.
  static constexpr size_t kMaxRank = 8;

  /// A scalar.
  Shape() = default;
  /// From literal dimensions; throws Error SHAPE like the span form.
  Shape(std::initializer_list<int64_t> dims) : Shape(std::span(dims.begin(), dims.size())) {}
  /// From any dimensions. Throws Error SHAPE for more than kMaxRank of them, a negative one, or a
  /// product that does not fit 2^53 (the largest count JavaScript can name exactly).
  explicit Shape(std::span<const int64_t> dims);

  /// Number of dimensions.
  [[nodiscard]] size_t rank() const { return rank_; }
  /// Size of dimension `axis`; negative axes count from the end. Bounds are the caller's duty.
  [[nodiscard]] int64_t operator[](int axis) const {
    return dims_[static_cast<size_t>(axis < 0 ? axis + static_cast<int>(rank_) : axis)];
  }
  /// The dimensions.
  [[nodiscard]] std::span<const int64_t> dims() const { return {dims_.data(), rank_}; }
  /// Product of all dimensions (1 for a scalar).
  [[nodiscard]] int64_t elements() const { return elements_; }
  /// Size of the last dimension (1 for a scalar).
  [[nodiscard]] int64_t columns() const { return rank_ == 0 ? 1 : dims_[rank_ - 1]; }
  /// Product of all dimensions but the last: how many rows a row-wise op sees. Without columns too.
  [[nodiscard]] int64_t rows() const { return rows_; }
  /// This shape with the last dimension replaced.
  [[nodiscard]] Shape with_columns(int64_t columns) const;
  /// "[2, 3]", for messages.
  [[nodiscard]] std::string text() const;

  /// Same rank and dimensions.
  bool operator==(const Shape& other) const;

 private:
  std::array<int64_t, kMaxRank> dims_{};
  size_t rank_ = 0;
  int64_t elements_ = 1;
  int64_t rows_ = 1;
};

}  // namespace espalier
