#include "binding/ops/embedding.h"

#include <doctest/doctest.h>

#include "test/binding/devices.h"

namespace espalier::test {
namespace {

TEST_CASE("embedding copies the rows of its ids exactly, for any dtype and width") {
  for (Device* device : devices()) {
    for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
      for (const int64_t width : {1, 3, 16, 33}) {
        const auto table = rounded_to(random_values(static_cast<size_t>(7 * width), 1), dtype);
        const std::vector<int64_t> ids{6, 0, 0, 3, 5, 6};
        std::vector<float> expected;
        for (const int64_t id : ids) {
          expected.insert(expected.end(), table.begin() + id * width,
                          table.begin() + (id + 1) * width);
        }
        const Tensor y = ops::embedding(upload(*device, ids, {2, 3}, DType::i64),
                                        upload_as(*device, table, {7, width}, dtype));
        CHECK(y.shape() == Shape{2, 3, width});
        CHECK(download(y) == expected);
        const std::vector<int32_t> narrow(ids.begin(), ids.end());
        CHECK(download(ops::embedding(upload(*device, narrow, {6}, DType::i32),
                                      upload_as(*device, table, {7, width}, dtype))) == expected);
      }
    }
  }
}

TEST_CASE("embedding fails the read for an id outside the table, and takes no ids") {
  for (Device* device : devices()) {
    const Tensor table = upload(*device, random_values(6, 1), {3, 2});
    std::vector<float> values;
    for (const int32_t bad : {-1, 3}) {
      const Tensor ids = upload(*device, std::vector<int32_t>{0, bad}, {2}, DType::i32);
      const Status status = download(ops::embedding(ids, table), values);
      CHECK(status.code() == ErrorCode::shape);
      CHECK(status.op() == "embedding");
    }
    CHECK(download(ops::embedding(Tensor(*device, {0}, DType::i32), table)).empty());
    const Tensor scalar = upload(*device, std::vector<int32_t>{2}, {}, DType::i32);
    CHECK(ops::embedding(scalar, table).shape() == Shape{2});
    CHECK_THROWS_AS(ops::embedding(table, table), Error);
    CHECK_THROWS_AS(ops::embedding(scalar, Tensor(*device, {3}, DType::f32)), Error);
  }
}

}  // namespace
}  // namespace espalier::test
