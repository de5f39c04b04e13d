#include "binding/ops/transpose.h"

#include <doctest/doctest.h>

#include "test/binding/devices.h"

namespace espalier::test {
namespace {

template <class T>
void check(Device& device, DType dtype, int64_t rows, int64_t columns) {
  std::vector<T> x(static_cast<size_t>(rows * columns));
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<T>(i * 2654435761U >> 7);
  std::vector<T> expected(x.size());
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      expected[static_cast<size_t>(c * rows + r)] = x[static_cast<size_t>(r * columns + c)];
    }
  }
  const Tensor y = ops::transpose(upload(device, x, {rows, columns}, dtype));
  CHECK(y.shape() == Shape{columns, rows});
  CHECK(download<T>(y) == expected);
}

TEST_CASE("transpose moves every element, for every element size and odd shapes") {
  for (Device* device : devices()) {
    for (const int64_t rows : {0, 1, 31, 100, 257}) {
      for (const int64_t columns : {1, 32, 65, 300}) {
        check<float>(*device, DType::f32, rows, columns);
        check<double>(*device, DType::f64, rows, columns);
        check<uint16_t>(*device, DType::bf16, rows, columns);
        check<uint8_t>(*device, DType::u8, rows, columns);
        check<int64_t>(*device, DType::i64, rows, columns);
      }
    }
    CHECK_THROWS_AS(ops::transpose(Tensor(*device, {2, 3, 4}, DType::f32)), Error);
  }
}

}  // namespace
}  // namespace espalier::test
