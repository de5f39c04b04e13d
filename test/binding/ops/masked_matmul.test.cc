#include "binding/ops/masked_matmul.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "test/binding/devices.h"

namespace espalier::test {
namespace {

// A masked product with everything that can vary, and its double-precision answer.
struct Problem {
  int64_t samples;
  int64_t n;
  int64_t k;
  std::vector<float> x, w, bias;
  std::vector<int32_t> rows, columns;
  std::vector<uint8_t> mask;

  Problem(int64_t m, int64_t out, int64_t in, DType dtype, double density)
      : samples(m), n(out), k(in) {
    x = random_values(static_cast<size_t>(m * in), 1);
    w = rounded_to(random_values(static_cast<size_t>(out * in), 2), dtype);
    bias = rounded_to(random_values(static_cast<size_t>(out), 3), dtype);
    std::mt19937 generator(4);
    std::bernoulli_distribution keep(density);
    for (int32_t i = 0; i < out; ++i) {
      if (keep(generator)) rows.push_back(i);
    }
    for (int32_t i = 0; i < in; ++i) {
      if (keep(generator)) columns.push_back(i);
    }
    for (int64_t i = 0; i < out * in; ++i) mask.push_back(keep(generator) ? 1 : 0);
  }

  // [samples, n]
  std::vector<double> answer(bool use_rows, bool use_columns, bool use_mask) const {
    std::vector<uint8_t> row_kept(static_cast<size_t>(n), use_rows ? 0 : 1);
    std::vector<uint8_t> column_kept(static_cast<size_t>(k), use_columns ? 0 : 1);
    if (use_rows) {
      for (const int32_t r : rows) row_kept[static_cast<size_t>(r)] = 1;
    }
    if (use_columns) {
      for (const int32_t c : columns) column_kept[static_cast<size_t>(c)] = 1;
    }
    std::vector<double> y;
    for (int64_t s = 0; s < samples; ++s) {
      for (int64_t j = 0; j < n; ++j) {
        const bool kept = row_kept[static_cast<size_t>(j)] != 0;
        double sum = kept ? bias[static_cast<size_t>(j)] : 0;
        for (int64_t i = 0; kept && i < k; ++i) {
          const auto at = static_cast<size_t>(j * k + i);
          if (column_kept[static_cast<size_t>(i)] == 0 || (use_mask && mask[at] == 0)) continue;
          sum += static_cast<double>(x[static_cast<size_t>(s * k + i)]) * w[at];
        }
        y.push_back(sum);
      }
    }
    return y;
  }
};

Tensor list(Device& device, const std::vector<int32_t>& indices) {
  return upload(device, indices, {static_cast<int64_t>(indices.size())}, DType::i32);
}

// Columns `indices` of a matrix with `width` columns.
template <class T>
std::vector<T> columns_of(const std::vector<T>& matrix, int64_t width,
                          const std::vector<int32_t>& indices) {
  std::vector<T> result;
  for (size_t row = 0; row * static_cast<size_t>(width) < matrix.size(); ++row) {
    for (const int32_t c : indices) {
      result.push_back(matrix[row * static_cast<size_t>(width) + static_cast<size_t>(c)]);
    }
  }
  return result;
}

// Every combination of rows, columns, mask and compact on one problem.
void check_all(Device& device, const Problem& p, DType dtype) {
  const Tensor x = upload(device, p.x, {p.samples, p.k});
  const Tensor w = upload_as(device, p.w, {p.n, p.k}, dtype);
  const Tensor bias = upload_as(device, p.bias, {p.n}, dtype);
  for (int bits = 0; bits < 8; ++bits) {
    CAPTURE(bits);
    const bool use_rows = (bits & 1) != 0;
    const bool use_columns = (bits & 2) != 0;
    const bool use_mask = (bits & 4) != 0;
    ops::Masks masks;
    if (use_rows) masks.rows = list(device, p.rows);
    if (use_columns) masks.columns = list(device, p.columns);
    if (use_mask) masks.mask = upload(device, p.mask, {p.n, p.k}, DType::u8);
    const auto expected = p.answer(use_rows, use_columns, use_mask);
    const auto full = download(ops::masked_matmul(x, w, bias, masks));
    CHECK(normalised_error(full, expected) < 1e-11);
    masks.compact = true;
    const auto compact = download(ops::masked_matmul(x, w, bias, masks));
    CHECK(normalised_error(compact, use_rows ? columns_of(full, p.n, p.rows) : full) < 1e-12);
    if (use_columns) {
      const Tensor gathered = upload(device, columns_of(p.x, p.k, p.columns),
                                     {p.samples, static_cast<int64_t>(p.columns.size())});
      CHECK(download(ops::masked_matmul(gathered, w, bias, masks)) == compact);
    }
  }
}

TEST_CASE("maskedMatmul equals the double-precision masked product for any mix of masks") {
  for (Device* device : devices()) {
    for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
      for (const double density : {0.1, 0.5, 0.97, 1.0}) {
        CAPTURE(density);
        check_all(*device, Problem(1, 7, 5, dtype, density), dtype);
        check_all(*device, Problem(5, 66, 33, dtype, density), dtype);
        check_all(*device, Problem(19, 150, 600, dtype, density), dtype);
        check_all(*device, Problem(2, 700, 40, dtype, density), dtype);
        check_all(*device, Problem(11, 21, 203, dtype, density), dtype);
      }
      // More samples, rows and columns than a block takes, and none of them a multiple.
      check_all(*device, Problem(531, 130, 20, dtype, 0.5), dtype);
      check_all(*device, Problem(35, 263, 1100, dtype, 0.7), dtype);
    }
  }
}

TEST_CASE("maskedMatmul takes more samples than a tile has rows") {
  for (Device* device : devices()) {
    check_all(*device, Problem(130, 530, 40, DType::bf16, 0.5), DType::bf16);
    check_all(*device, Problem(70, 33, 300, DType::f32, 0.5), DType::f32);
  }
}

TEST_CASE("maskedMatmul skips and applies the tiles of masks with structure") {
  for (Device* device : devices()) {
    for (const int64_t samples : {9, 40}) {
      Problem p(samples, 200, 900, DType::f32, 0.5);
      const Tensor x = upload(*device, p.x, {p.samples, p.k});
      const Tensor w = upload(*device, p.w, {p.n, p.k});
      const Tensor bias = upload(*device, p.bias, {p.n});
      const auto check = [&](auto kept) {
        for (int64_t i = 0; i < p.n * p.k; ++i) {
          p.mask[static_cast<size_t>(i)] = kept(i / p.k, i % p.k) ? 1 : 0;
        }
        const ops::Masks masks{
            .rows = {}, .columns = {}, .mask = upload(*device, p.mask, {p.n, p.k}, DType::u8)};
        CHECK(normalised_error(download(ops::masked_matmul(x, w, bias, masks)),
                               p.answer(false, false, true)) < 1e-11);
      };
      check([](int64_t, int64_t) { return false; });
      check([](int64_t, int64_t) { return true; });
      check([](int64_t r, int64_t c) { return (r / 64 + c / 128) % 2 == 0; });
      check([](int64_t r, int64_t) { return r < 70 || r > 130; });
      check([](int64_t, int64_t c) { return c < 300 || c > 777; });
      check([](int64_t r, int64_t c) { return r == 131 && c == 511; });
      check([](int64_t r, int64_t c) { return r < 64 || (r + c) % 3 == 0; });
    }
  }
}

TEST_CASE("maskedMatmul leaves masked weights out even when they are NaN or infinite") {
  for (Device* device : devices()) {
    for (const int64_t masked : {1, 30}) {
      constexpr int64_t kWidth = 64;
      std::vector<float> w(kWidth * kWidth, 1.0F);
      std::vector<int32_t> kept;
      std::vector<uint8_t> mask(w.size(), 1);
      for (int32_t i = 0; i < kWidth; ++i) {
        if (i >= masked) kept.push_back(i);
        for (int64_t j = 0; j < masked; ++j) {
          const auto at = static_cast<size_t>(i * kWidth + j);
          w[at] = i % 2 == 0 ? std::nanf("") : std::numeric_limits<float>::infinity();
          mask[at] = 0;
        }
      }
      for (const int64_t samples : {3, 30}) {
        const auto size = static_cast<size_t>(samples * kWidth);
        const Tensor x = upload(*device, std::vector<float>(size, 1.0F), {samples, kWidth});
        const Tensor weight = upload(*device, w, {kWidth, kWidth});
        const std::vector<float> expected(size, static_cast<float>(kWidth - masked));
        ops::Masks masks{.rows = {}, .columns = list(*device, kept), .mask = {}};
        CHECK(download(ops::masked_matmul(x, weight, std::nullopt, masks)) == expected);
        masks = {
            .rows = {}, .columns = {}, .mask = upload(*device, mask, {kWidth, kWidth}, DType::u8)};
        CHECK(download(ops::masked_matmul(x, weight, std::nullopt, masks)) == expected);
      }
    }
  }
}

TEST_CASE("maskedMatmul with nothing kept gives zeros, or the bias of kept rows") {
  for (Device* device : devices()) {
    const Tensor x = upload(*device, random_values(6, 1), {2, 3});
    const Tensor w = upload(*device, random_values(12, 2), {4, 3});
    const Tensor bias = upload(*device, std::vector<float>{1, 2, 3, 4}, {4});
    const Tensor none = list(*device, {});
    CHECK(download(ops::masked_matmul(x, w, bias, {.rows = none, .columns = {}, .mask = {}})) ==
          std::vector<float>(8));
    CHECK(download(ops::masked_matmul(x, w, bias,
                                      {.rows = none, .columns = {}, .mask = {}, .compact = true}))
              .empty());
    const std::vector<float> expected{0, 2, 0, 4, 0, 2, 0, 4};
    const ops::Masks masks{.rows = list(*device, {1, 3}), .columns = none, .mask = {}};
    CHECK(download(ops::masked_matmul(x, w, bias, masks)) == expected);
    CHECK(download(ops::masked_matmul(Tensor(*device, {2, 0}, DType::f32), w, bias, masks)) ==
          expected);
    CHECK(download(ops::masked_matmul(Tensor(*device, {0, 3}, DType::f32), w, bias, {})).empty());
    const Tensor many = upload(*device, random_values(150, 1), {50, 3});
    CHECK(download(ops::masked_matmul(many, w, bias, {.rows = none, .columns = {}, .mask = {}})) ==
          std::vector<float>(200));
    const auto biases = download(ops::masked_matmul(many, w, bias, masks));
    CHECK(std::accumulate(biases.begin(), biases.end(), 0.0F) == 50 * 6);
  }
}

TEST_CASE("maskedMatmul fails the read for lists that leave the weight or do not increase") {
  for (Device* device : devices()) {
    const Tensor x = upload(*device, random_values(6, 1), {2, 3});
    const Tensor w = upload(*device, random_values(12, 2), {4, 3});
    std::vector<float> values;
    for (const std::vector<int32_t>& bad : std::vector<std::vector<int32_t>>{
             {-1}, {4}, {1, 1}, {2, 0}, {0, std::numeric_limits<int32_t>::max()}}) {
      ops::Masks masks{.rows = list(*device, bad), .columns = {}, .mask = {}};
      CHECK(download(ops::masked_matmul(x, w, {}, masks), values).code() == ErrorCode::shape);
      masks = {.rows = {}, .columns = list(*device, bad), .mask = {}};
      const Tensor wide = upload(*device, random_values(8, 1), {2, 4});
      const Tensor narrow_w = upload(*device, random_values(12, 2), {3, 4});
      CHECK(download(ops::masked_matmul(wide, narrow_w, {}, masks), values).code() ==
            ErrorCode::shape);
    }
  }
}

TEST_CASE("maskedMatmul names the argument that does not fit") {
  Device& device = *devices().front();
  const Tensor x(device, {2, 4}, DType::f32);
  const Tensor w(device, {3, 4}, DType::f32);
  const ops::Masks two{.rows = {}, .columns = Tensor(device, {2}, DType::i32), .mask = {}};
  CHECK_THROWS_WITH_AS(ops::masked_matmul(Tensor(device, {2, 3}, DType::f32), w, {}, two),
                       "x: expected [..., 4] or [..., 2], got [2, 3]", Error);
  CHECK_THROWS_AS(ops::masked_matmul(Tensor(device, {2, 3}, DType::f32), w, {}, {}), Error);
  const Tensor flat(device, {12}, DType::u8);
  CHECK_THROWS_AS(ops::masked_matmul(x, w, {}, {.rows = {}, .columns = {}, .mask = flat}), Error);
  CHECK_THROWS_AS(ops::masked_matmul(x, w, {}, {.rows = flat, .columns = {}, .mask = {}}), Error);
  CHECK_THROWS_AS(ops::masked_matmul(x, w, Tensor(device, {4}, DType::f32), {}), Error);
}

}  // namespace
}  // namespace espalier::test
