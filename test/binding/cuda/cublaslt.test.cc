#include <dlfcn.h>
#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "binding/ops/linear.h"
#include "binding/ops/lora_linear.h"
#include "binding/ops/masked_matmul.h"
#include "test/binding/nvidia_libraries.h"

namespace espalier::test {
namespace {

namespace fs = std::filesystem;

// The emulated GPU with the library that stands in for cuBLASLt, which its first product looks for.
Device& device_with_library() {
  static auto* const device = [] {
    const SearchPath path(fs::path(ESPALIER_FAKE_CUBLASLT).parent_path());
    Device& made = new_emulated_device();
    const Tensor one = upload(made, std::vector<float>{1}, {1, 1});
    download(ops::linear(one, one, std::nullopt));
    return &made;
  }();
  return *device;
}

// Products that the stand-in has made.
int64_t products_made() {
  static void* const library = dlopen(ESPALIER_FAKE_CUBLASLT, RTLD_NOW);
  return reinterpret_cast<int64_t (*)()>(dlsym(library, "fake_cublaslt_products"))();
}

std::vector<double> widened(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

TEST_CASE("dense products go to cuBLASLt where it is found, and have the CPU's numbers") {
  Device& device = device_with_library();
  Device& cpu = cpu::cpu_device();
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    for (const DType bias_dtype : {DType::f32, DType::bf16, DType::f16}) {
      const int64_t m = 20;
      const int64_t n = 33;
      const int64_t k = 70;
      const auto run = [&](Device& on) {
        const Tensor x = upload(on, random_values(20 * 70, 1), {m, k});
        const Tensor w = upload_as(on, random_values(33 * 70, 2), {n, k}, dtype);
        const Tensor bias = upload_as(on, random_values(33, 3), {n}, bias_dtype);
        const Tensor dy = upload(on, random_values(20 * 33, 4), {m, n});
        return std::vector{download(ops::linear(x, w, bias)),
                           download(ops::linear_input_gradient(dy, w)),
                           download(ops::linear_weight_gradient(dy, x))};
      };
      const auto expected = run(cpu);
      const int64_t before = products_made();
      const auto got = run(device);
      CHECK(products_made() == before + 3);
      for (size_t i = 0; i < got.size(); ++i) {
        CHECK(normalised_error(got[i], widened(expected[i])) < 1e-11);
      }
    }
  }
}

TEST_CASE("cuBLASLt gets factors rounded to bf16 once, whatever their strides") {
  Device& device = device_with_library();
  for (const int64_t k : {64, 35}) {
    const auto x = random_values(static_cast<size_t>(20 * k), 1);
    const auto w = random_values(static_cast<size_t>(24 * k), 2);
    const auto rx = rounded_to(x, DType::bf16);
    const auto rw = rounded_to(w, DType::bf16);
    std::vector<double> expected;
    for (int64_t i = 0; i < 20; ++i) {
      for (int64_t j = 0; j < 24; ++j) {
        double sum = 0;
        for (int64_t l = 0; l < k; ++l) {
          sum += static_cast<double>(rx[static_cast<size_t>(i * k + l)]) *
                 rw[static_cast<size_t>(j * k + l)];
        }
        expected.push_back(sum);
      }
    }
    for (const DType dtype : {DType::f32, DType::bf16}) {
      const int64_t before = products_made();
      const auto got =
          download(ops::linear(upload(device, x, {20, k}), upload_as(device, w, {24, k}, dtype),
                               std::nullopt, Products::bf16));
      CHECK(products_made() == before + 1);
      CHECK(normalised_error(got, expected) < 1e-11);
    }
  }
}

TEST_CASE("cuBLASLt multiplies what masks keep of many samples") {
  const int64_t m = 260;
  const std::vector<int32_t> kept_rows{0, 2, 3, 5, 7, 8, 9, 11, 13, 17, 19, 20, 22, 23, 24, 26, 28};
  const std::vector<int32_t> kept_columns{1,  2,  3,  5,  6,  8,  9,  10, 14,
                                          15, 16, 17, 18, 20, 21, 23, 25, 26};
  for (const DType dtype : {DType::f32, DType::f16}) {
    for (int bits = 1; bits < 8; ++bits) {
      CAPTURE(bits);
      const auto run = [&](Device& on) {
        const Tensor x = upload(on, random_values(260 * 27, 1), {m, 27});
        const Tensor w = upload_as(on, random_values(29 * 27, 2), {29, 27}, dtype);
        const Tensor bias = upload_as(on, random_values(29, 3), {29}, dtype);
        ops::Masks masks{.rows = {}, .columns = {}, .mask = {}, .compact = (bits & 4) != 0};
        if ((bits & 1) != 0) masks.rows = upload(on, kept_rows, {17}, DType::i32);
        if ((bits & 2) != 0) masks.columns = upload(on, kept_columns, {18}, DType::i32);
        return download(ops::masked_matmul(x, w, bias, masks));
      };
      const int64_t before = products_made();
      const auto got = run(device_with_library());
      CHECK(products_made() == before + 1);
      CHECK(normalised_error(got, widened(run(cpu::cpu_device()))) < 1e-11);
    }
  }
}

TEST_CASE("own kernels multiply thin factors and what cuBLASLt refuses") {
  Device& device = device_with_library();
  const int64_t before = products_made();
  for (const Products products : {Products::f32, Products::bf16}) {
    for (const auto& [m, k] : {std::pair<int64_t, int64_t>{3, 64}, {20, 77}}) {
      const auto ones = std::vector<float>(static_cast<size_t>(m * k), 1.0F);
      const Tensor w =
          upload(device, std::vector<float>(static_cast<size_t>(24 * k), 1.0F), {24, k});
      CHECK(download(ops::linear(upload(device, ones, {m, k}), w, std::nullopt, products)) ==
            std::vector<float>(static_cast<size_t>(m * 24), static_cast<float>(k)));
    }
  }
  CHECK(products_made() == before);
}

TEST_CASE("adapted layers keep their low-rank path and its dropout beside cuBLASLt") {
  const auto run = [](Device& device, Products products) {
    const Tensor x = upload(device, random_values(20 * 40, 1), {20, 40});
    const Tensor dy = upload(device, random_values(20 * 24, 6), {20, 24});
    const ops::LoraLayer layer{
        .weight = upload_as(device, random_values(24 * 40, 2), {24, 40}, DType::bf16),
        .bias = upload(device, random_values(24, 3), {24}),
        .a = upload(device, random_values(5 * 40, 4), {5, 40}),
        .b = upload(device, random_values(24 * 5, 5), {24, 5}),
        .scale = 1.5,
        .dropout = 0.3,
        .seed = 9};
    const auto outputs = ops::lora_linear(x, {layer}, products);
    const auto gradients = ops::lora_linear_backward(
        x, x.shape(), {{.gradient = dy, .layer = layer, .hidden = outputs[0].hidden}}, true,
        products);
    return std::vector{download(outputs[0].output), download(*gradients.x),
                       download(*gradients.paths[0].a), download(*gradients.paths[0].b)};
  };
  const int64_t before = products_made();
  const auto got = run(device_with_library(), Products::f32);
  CHECK(products_made() == before + 2);
  const auto expected = run(cpu::cpu_device(), Products::f32);
  for (size_t i = 0; i < got.size(); ++i) {
    CHECK(normalised_error(got[i], widened(expected[i])) < 1e-11);
  }
  // In bf16 the emulated tensor cores are the yardstick.
  const auto rounded = run(device_with_library(), Products::bf16);
  const auto own = run(cuda_device(), Products::bf16);
  for (size_t i = 0; i < got.size(); ++i) {
    CHECK(normalised_error(rounded[i], widened(own[i])) < 1e-11);
  }
}

}  // namespace
}  // namespace espalier::test
