// Argument checks that ops share. Each throws Error naming the argument, what was expected and what
// came.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "binding/core/status.h"
#include "binding/core/tensor.h"

namespace espalier::ops {

/// Largest dimension of a matrix that the Cholesky routines take: OpenBLAS computes addresses in 64
/// bits from 32-bit sizes.
constexpr int64_t kLapackLimit = (int64_t{1} << 31) - 1;

/// Largest order of an eigen- or singular value decomposition, whose workspace of several n²
/// numbers LAPACK counts in 32 bits.
constexpr int64_t kLapackWorkspaceLimit = 16384;

/// Throws SHAPE: "<name>: expected <expected>, got <shape>".
[[noreturn]] void shape_error(std::string_view op, std::string_view name,
                              const std::string& expected, const Tensor& got);
/// Throws CONFIG: "<name>: expected <expected>, got <got>".
[[noreturn]] void value_error(std::string_view op, std::string_view name,
                              const std::string& expected, const std::string& got);

/// DTYPE unless `tensor` has one of `allowed`.
void expect_dtype(std::string_view op, std::string_view name, const Tensor& tensor,
                  std::initializer_list<DType> allowed);
/// DTYPE unless f32, bf16 or f16.
void expect_weight_dtype(std::string_view op, std::string_view name, const Tensor& tensor);
/// SHAPE unless the rank is `rank`.
void expect_rank(std::string_view op, std::string_view name, const Tensor& tensor, size_t rank);
/// SHAPE unless the rank is at least `rank`.
void expect_rank_at_least(std::string_view op, std::string_view name, const Tensor& tensor,
                          size_t rank);
/// SHAPE unless the shape is `shape`.
void expect_shape(std::string_view op, std::string_view name, const Tensor& tensor,
                  const Shape& shape);
/// SHAPE unless square with rank 2.
void expect_square(std::string_view op, std::string_view name, const Tensor& tensor);
/// SHAPE when the matrix is larger than what LAPACK's 32-bit integers can index: a dimension over
/// `limit`.
void expect_lapack_size(std::string_view op, std::string_view name, const Tensor& tensor,
                        int64_t limit = kLapackLimit);
/// CONFIG when the two share memory.
void expect_disjoint(std::string_view op, std::string_view name, const Tensor& tensor,
                     std::string_view other_name, const Tensor& other);
/// Whether an op may use the memory of `matrix` between reading it and putting it back: it is f64,
/// belongs to no file, and none of the op's other arguments lies in it.
bool lendable(const Tensor& matrix, std::initializer_list<const Tensor*> others);
/// CONFIG unless finite and not negative.
void expect_not_negative(std::string_view op, std::string_view name, double value);

}  // namespace espalier::ops
