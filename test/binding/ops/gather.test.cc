#include "binding/ops/gather.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>

#include "test/binding/devices.h"

namespace espalier::test {
namespace {

// 0, 1, 2, ... in [2, 3, 5].
template <class T>
Tensor counting(Device& device, DType dtype) {
  std::vector<T> values(30);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<T>(i);
  return upload(device, values, {2, 3, 5}, dtype);
}

template <class T>
void check_dtype(Device& device, DType dtype) {
  const Tensor x = counting<T>(device, dtype);
  const Tensor columns =
      ops::gather_columns(x, upload(device, std::vector<int32_t>{4, 0, 4}, {3}, DType::i32));
  CHECK(columns.shape() == Shape{2, 3, 3});
  std::vector<T> expected;
  for (int row = 0; row < 6; ++row) {
    for (const int c : {4, 0, 4}) expected.push_back(static_cast<T>(5 * row + c));
  }
  CHECK(download<T>(columns) == expected);
  const Tensor rows =
      ops::gather_rows(x, upload(device, std::vector<int32_t>{1, 1, 0}, {3}, DType::i32));
  CHECK(rows.shape() == Shape{3, 3, 5});
  expected.clear();
  for (const int row : {1, 1, 0}) {
    for (int i = 0; i < 15; ++i) expected.push_back(static_cast<T>(15 * row + i));
  }
  CHECK(download<T>(rows) == expected);
}

TEST_CASE("gatherRows and gatherColumns copy what the indices name, for every dtype") {
  for (Device* device : devices()) {
    check_dtype<float>(*device, DType::f32);
    check_dtype<uint16_t>(*device, DType::bf16);
    check_dtype<uint16_t>(*device, DType::f16);
    check_dtype<double>(*device, DType::f64);
    check_dtype<int64_t>(*device, DType::i64);
    check_dtype<int32_t>(*device, DType::i32);
    check_dtype<uint8_t>(*device, DType::u8);
  }
}

TEST_CASE(
    "principalSubmatrix takes the same rows and columns, from f64 matrices of every size too") {
  for (Device* device : devices()) {
    for (const int32_t n : {1, 7, 70}) {
      std::vector<double> values(static_cast<size_t>(n * n));
      for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i);
      const Tensor x = upload(*device, values, {n, n}, DType::f64);
      const std::vector<int32_t> kept{n - 1, 0, n / 2};
      const Tensor part = ops::principal_submatrix(x, upload(*device, kept, {3}, DType::i32));
      CHECK(part.shape() == Shape{3, 3});
      std::vector<double> expected;
      for (const int32_t row : kept) {
        for (const int32_t column : kept) expected.push_back(row * n + column);
      }
      CHECK(download<double>(part) == expected);
      std::vector<double> target;
      const Tensor bad = upload(*device, std::vector<int32_t>{n}, {1}, DType::i32);
      CHECK(download(ops::principal_submatrix(x, bad), target).code() == ErrorCode::shape);
    }
    const Tensor wide(*device, {2, 3}, DType::f32);
    CHECK_THROWS_AS(ops::principal_submatrix(wide, Tensor(*device, {1}, DType::i32)), Error);
  }
}

// Every third row and column of a square matrix whose elements say where they stand.
void check_consumed(Device& device, int32_t n, const std::vector<int32_t>& kept) {
  std::vector<double> values(static_cast<size_t>(n) * static_cast<size_t>(n));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i);
  const Tensor x = upload(device, values, {n, n}, DType::f64);
  const auto count = static_cast<int64_t>(kept.size());
  const std::vector<double> part = download<double>(
      ops::principal_submatrix(x, upload(device, kept, {count}, DType::i32), true));
  REQUIRE(part.size() == kept.size() * kept.size());
  int64_t wrong = 0;
  for (size_t row = 0; row < kept.size(); ++row) {
    for (size_t column = 0; column < kept.size(); ++column) {
      const double expected = static_cast<double>(kept[row]) * n + kept[column];
      if (part[row * kept.size() + column] != expected) ++wrong;
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("principalSubmatrix that uses its matrix up takes the same numbers, in any order") {
  for (Device* device : devices()) {
    // 34 MB: more than is read between two times that memory is given back.
    constexpr int32_t kLarge = 2063;
    std::vector<int32_t> thirds;
    for (int32_t i = 1; i < kLarge; i += 3) thirds.push_back(i);
    check_consumed(*device, kLarge, thirds);
    std::vector<int32_t> repeated = thirds;
    repeated.insert(repeated.end() - 2, 3, repeated[repeated.size() - 3]);
    check_consumed(*device, kLarge, repeated);
    std::reverse(thirds.begin(), thirds.end());
    check_consumed(*device, kLarge, thirds);
    check_consumed(*device, 3, {0, 2});
    check_consumed(*device, 3, {});
    check_consumed(*device, 0, {});
  }
}

TEST_CASE("gathering fails the read for an index out of range, and takes empty lists") {
  for (Device* device : devices()) {
    const Tensor x = counting<float>(*device, DType::f32);
    std::vector<float> values;
    for (const int32_t bad : {-1, 5, std::numeric_limits<int32_t>::min()}) {
      const Tensor indices = upload(*device, std::vector<int32_t>{0, bad}, {2}, DType::i32);
      CHECK(download(ops::gather_columns(x, indices), values).code() == ErrorCode::shape);
      CHECK(download(ops::gather_rows(x, indices), values).code() == ErrorCode::shape);
    }
    const Tensor none(*device, {0}, DType::i32);
    CHECK(download(ops::gather_columns(x, none)).empty());
    CHECK(download(ops::gather_rows(x, none)).empty());
    CHECK(download(ops::gather_rows(Tensor(*device, {3, 0}, DType::f32),
                                    upload(*device, std::vector<int32_t>{2}, {1}, DType::i32)))
              .empty());
    CHECK_THROWS_AS(ops::gather_rows(x, x), Error);
    CHECK_THROWS_AS(ops::gather_rows(Tensor(*device, Shape{}, DType::f32), none), Error);
  }
}

}  // namespace
}  // namespace espalier::test
