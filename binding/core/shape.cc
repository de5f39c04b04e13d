#include "binding/core/shape.h"

#include <algorithm>
#include <vector>

#include "binding/core/status.h"

namespace espalier {
namespace {

constexpr int64_t kMaxElements = int64_t{1} << 53;

int64_t checked_product(std::span<const int64_t> dims) {
  // A zero anywhere makes the product zero, but the other factors must still be representable.
  int64_t product = 1;
  bool empty = false;
  for (const int64_t dim : dims) {
    if (dim < 0) throw Error(ErrorCode::shape, "shape", "dimensions must not be negative");
    if (dim == 0) {
      empty = true;
      continue;
    }
    if (dim > kMaxElements / product) {
      throw Error(ErrorCode::shape, "shape", "a tensor can have at most 2^53 elements");
    }
    product *= dim;
  }
  return empty ? 0 : product;
}

}  // namespace

Shape::Shape(std::span<const int64_t> dims) {
  if (dims.size() > kMaxRank) {
    throw Error(ErrorCode::shape, "shape",
                "expected at most 8 dimensions, got " + std::to_string(dims.size()));
  }
  elements_ = checked_product(dims);
  rank_ = dims.size();
  rows_ = rank_ == 0 ? 1 : checked_product(dims.first(rank_ - 1));
  std::ranges::copy(dims, dims_.begin());
}

Shape Shape::with_columns(int64_t columns) const {
  std::vector<int64_t> dims(dims_.begin(), dims_.begin() + static_cast<std::ptrdiff_t>(rank_));
  if (dims.empty()) dims.push_back(columns);
  dims.back() = columns;
  return Shape(std::span<const int64_t>(dims));
}

std::string Shape::text() const {
  std::string text = "[";
  for (size_t axis = 0; axis < rank_; ++axis) {
    if (axis > 0) text += ", ";
    text += std::to_string(dims_[axis]);
  }
  return text + "]";
}

bool Shape::operator==(const Shape& other) const {
  return std::ranges::equal(dims(), other.dims());
}

}  // namespace espalier
