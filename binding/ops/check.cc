#include "binding/ops/check.h"

#include <algorithm>
#include <cmath>

namespace espalier::ops {

void shape_error(std::string_view op, std::string_view name, const std::string& expected,
                 const Tensor& got) {
  throw Error(ErrorCode::shape, op,
              std::string(name) + ": expected " + expected + ", got " + got.shape().text());
}

void value_error(std::string_view op, std::string_view name, const std::string& expected,
                 const std::string& got) {
  throw Error(ErrorCode::config, op, std::string(name) + ": expected " + expected + ", got " + got);
}

void expect_dtype(std::string_view op, std::string_view name, const Tensor& tensor,
                  std::initializer_list<DType> allowed) {
  if (std::ranges::find(allowed, tensor.dtype()) != allowed.end()) return;
  std::string expected;
  for (const DType dtype : allowed) {
    if (!expected.empty()) expected += " or ";
    expected += name_of(dtype);
  }
  throw Error(ErrorCode::dtype, op,
              std::string(name) + ": expected " + expected + ", got " +
                  std::string(name_of(tensor.dtype())));
}

void expect_weight_dtype(std::string_view op, std::string_view name, const Tensor& tensor) {
  expect_dtype(op, name, tensor, {DType::f32, DType::bf16, DType::f16});
}

void expect_rank(std::string_view op, std::string_view name, const Tensor& tensor, size_t rank) {
  if (tensor.shape().rank() != rank) {
    shape_error(op, name, std::to_string(rank) + " dimensions", tensor);
  }
}

void expect_rank_at_least(std::string_view op, std::string_view name, const Tensor& tensor,
                          size_t rank) {
  if (tensor.shape().rank() < rank) {
    shape_error(op, name, "at least " + std::to_string(rank) + " dimensions", tensor);
  }
}

void expect_shape(std::string_view op, std::string_view name, const Tensor& tensor,
                  const Shape& shape) {
  if (!(tensor.shape() == shape)) shape_error(op, name, shape.text(), tensor);
}

void expect_square(std::string_view op, std::string_view name, const Tensor& tensor) {
  if (tensor.shape().rank() != 2 || tensor.shape()[0] != tensor.shape()[1]) {
    shape_error(op, name, "a square matrix", tensor);
  }
}

void expect_lapack_size(std::string_view op, std::string_view name, const Tensor& tensor,
                        int64_t limit) {
  for (const int64_t dim : tensor.shape().dims()) {
    if (dim > limit) {
      shape_error(op, name, "dimensions of at most " + std::to_string(limit), tensor);
    }
  }
}

void expect_disjoint(std::string_view op, std::string_view name, const Tensor& tensor,
                     std::string_view other_name, const Tensor& other) {
  if (tensor.overlaps(other)) {
    value_error(op, name, "memory apart from " + std::string(other_name), "an alias of it");
  }
}

bool lendable(const Tensor& matrix, std::initializer_list<const Tensor*> others) {
  return matrix.dtype() == DType::f64 && !matrix.buffer()->read_only() &&
         std::none_of(others.begin(), others.end(),
                      [&](const Tensor* other) { return other->overlaps(matrix); });
}

void expect_not_negative(std::string_view op, std::string_view name, double value) {
  if (!std::isfinite(value) || value < 0) {
    value_error(op, name, "a finite number >= 0", std::to_string(value));
  }
}

}  // namespace espalier::ops
