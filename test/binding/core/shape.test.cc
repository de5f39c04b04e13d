#include "binding/core/shape.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

#include "binding/core/status.h"

namespace espalier::test {
namespace {

ErrorCode code_of(std::vector<int64_t> dims) {
  try {
    const Shape shape{std::span<const int64_t>(dims)};
  } catch (const Error& error) {
    return error.status().code();
  }
  return ErrorCode::ok;
}

TEST_CASE("a shape knows its elements, rows and columns") {
  const Shape shape{2, 3, 4};
  CHECK(shape.rank() == 3);
  CHECK(shape.elements() == 24);
  CHECK(shape.rows() == 6);
  CHECK(shape.columns() == 4);
  CHECK(shape[0] == 2);
  CHECK(shape[-1] == 4);
  CHECK(shape.text() == "[2, 3, 4]");
  CHECK(shape == Shape{2, 3, 4});
  CHECK_FALSE(shape == Shape{2, 12});
  CHECK(shape.with_columns(7) == Shape{2, 3, 7});
}

TEST_CASE("a scalar has one element, one row and one column") {
  const Shape scalar;
  CHECK(scalar.rank() == 0);
  CHECK(scalar.elements() == 1);
  CHECK(scalar.rows() == 1);
  CHECK(scalar.columns() == 1);
  CHECK(scalar.text() == "[]");
}

TEST_CASE("an empty dimension makes a shape empty but keeps its rows") {
  CHECK(Shape{0}.elements() == 0);
  CHECK(Shape{5, 0}.elements() == 0);
  CHECK(Shape{5, 0}.rows() == 5);
  CHECK(Shape{0, 5}.rows() == 0);
}

TEST_CASE("a shape refuses negative dimensions, too many of them and counts beyond 2^53") {
  constexpr int64_t kLimit = int64_t{1} << 53;
  CHECK(code_of({-1}) == ErrorCode::shape);
  CHECK(code_of({0, -1}) == ErrorCode::shape);
  CHECK(code_of({INT64_MIN}) == ErrorCode::shape);
  CHECK(code_of({1, 1, 1, 1, 1, 1, 1, 1}) == ErrorCode::ok);
  CHECK(code_of({1, 1, 1, 1, 1, 1, 1, 1, 1}) == ErrorCode::shape);
  CHECK(code_of({kLimit}) == ErrorCode::ok);
  CHECK(code_of({kLimit + 1}) == ErrorCode::shape);
  CHECK(code_of({int64_t{1} << 27, int64_t{1} << 26}) == ErrorCode::ok);
  CHECK(code_of({int64_t{1} << 27, (int64_t{1} << 26) + 1}) == ErrorCode::shape);
  // Products that wrap to something small in 64 bits.
  CHECK(code_of({int64_t{1} << 32, int64_t{1} << 32}) == ErrorCode::shape);
  CHECK(code_of({INT64_MAX, INT64_MAX, 2}) == ErrorCode::shape);
  // A zero hides nothing: the strides of the others must still be representable.
  CHECK(code_of({0, int64_t{1} << 32, int64_t{1} << 32}) == ErrorCode::shape);
  CHECK(code_of({int64_t{1} << 32, int64_t{1} << 32, 0}) == ErrorCode::shape);
}

}  // namespace
}  // namespace espalier::test
