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

TEST_CASE("the gradient of embedding sums the rows of every id and skips the padding") {
  for (Device* device : devices()) {
    for (const int64_t width : {1, 7, 40, 2000}) {
      const std::vector<int64_t> ids{2, 0, 2, 4, 0, 2};
      const auto gradient = random_values(ids.size() * static_cast<size_t>(width), 1);
      for (const int64_t padding : {int64_t{-1}, int64_t{0}}) {
        std::vector<float> expected(static_cast<size_t>(5 * width));
        for (size_t i = 0; i < gradient.size(); ++i) {
          const auto row = static_cast<int64_t>(i) / width;
          const int64_t id = ids[static_cast<size_t>(row)];
          if (id == padding) continue;
          expected[static_cast<size_t>(id * width + static_cast<int64_t>(i) % width)] +=
              gradient[i];
        }
        const Tensor at = upload(*device, ids, {2, 3}, DType::i64);
        const Tensor dy = upload(*device, gradient, {2, 3, width});
        CHECK(download(ops::embedding_backward(dy, at, 5, padding)) == expected);
      }
    }
    const Tensor dy = upload(*device, std::vector<float>{1}, {1, 1});
    std::vector<float> values;
    const Tensor bad = upload(*device, std::vector<int32_t>{5}, {1}, DType::i32);
    CHECK(download(ops::embedding_backward(dy, bad, 5, -1), values).code() == ErrorCode::shape);
    CHECK_THROWS_AS(ops::embedding_backward(dy, Tensor(*device, {2}, DType::i32), 5, -1), Error);
  }
}

TEST_CASE(
    "the gradient of embedding adds in the order of the ids, for many ids and a large table") {
  for (Device* device : devices()) {
    constexpr int64_t kRows = 70001;
    constexpr int64_t kWidth = 3;
    std::vector<int32_t> ids;
    std::mt19937 generator(3);
    for (int i = 0; i < 2500; ++i) {
      const auto any = static_cast<int32_t>(generator() % kRows);
      ids.push_back(i % 3 == 0 ? 7 : i % 3 == 1 ? any : any % 300);
    }
    const auto gradient = random_values(ids.size() * kWidth, 1);
    std::vector<float> expected(kRows * kWidth);
    for (size_t i = 0; i < gradient.size(); ++i) {
      expected[static_cast<size_t>(ids[i / kWidth]) * kWidth + i % kWidth] += gradient[i];
    }
    const auto count = static_cast<int64_t>(ids.size());
    CHECK(download(ops::embedding_backward(upload(*device, gradient, {count, kWidth}),
                                           upload(*device, ids, {count}, DType::i32), kRows, -1)) ==
          expected);
  }
}

}  // namespace
}  // namespace espalier::test
