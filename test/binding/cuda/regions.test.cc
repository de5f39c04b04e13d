#include <dlfcn.h>
#include <doctest/doctest.h>

#include <array>
#include <cstdlib>
#include <thread>

#include "binding/ops/dropout.h"
#include "binding/ops/elementwise.h"
#include "binding/ops/embedding.h"
#include "binding/ops/linear.h"
#include "binding/ops/region.h"
#include "binding/ops/rms_norm.h"
#include "binding/ops/scale.h"
#include "binding/ops/squared_error.h"
#include "test/binding/devices.h"
#include "test/cuda/shim/graph_counts.h"

namespace espalier::test {
namespace {

constexpr int64_t kWidth = 24;

// What the emulated GPU has counted; a real one counts nothing.
shim::GraphCounts& graphs() {
  if (std::getenv("ESPALIER_CUDA_LIB") != nullptr) {
    static shim::GraphCounts none;
    return none;
  }
  static void* const library = dlopen(ESPALIER_CUDA_SHIM_LIBRARY, RTLD_NOW);
  return *reinterpret_cast<shim::GraphCounts* (*)()>(
      dlsym(library, "espalier_shim_graph_counts"))();
}

bool counts_graphs() { return std::getenv("ESPALIER_CUDA_LIB") == nullptr; }

Device& caching_device() {
  static Device& device = new_cuda_device(size_t{64} << 20);
  return device;
}

struct Step {
  int64_t rows = 6;
  uint32_t values = 1;
  uint64_t seed = 5;
  int layers = 5;
};

// A few layers of products, norms, dropout and reductions.
Tensor compute(Device& device, const Step& step) {
  const auto count = static_cast<size_t>(step.rows * kWidth);
  Tensor x = upload(device, random_values(count, step.values), {step.rows, kWidth});
  const Tensor w = upload(device, random_values(kWidth * kWidth, 2, 0.2F), {kWidth, kWidth});
  const Tensor ones = upload(device, std::vector<float>(kWidth, 1.0F), {kWidth});
  for (int layer = 0; layer < step.layers; ++layer) {
    const Tensor normed = ops::rms_norm(x, ones, 1e-6F, std::nullopt).output;
    const Tensor product = ops::linear(normed, w, std::nullopt);
    const Tensor dropped = ops::dropout(product, 0.25, step.seed + static_cast<uint64_t>(layer));
    x = ops::elementwise(ElementwiseKind::add, x, dropped);
  }
  return x;
}

std::vector<float> in_region(Device& device, const std::string& key, const Step& step) {
  ops::begin_region(device, key);
  const Tensor y = compute(device, step);
  ops::end_region(device);
  return download(y);
}

TEST_CASE("what comes again in a region becomes one graph, with the same bits") {
  for (Device* device : {&cuda_device(), &caching_device()}) {
    const Step step;
    const auto expected = download(compute(*device, step));
    const shim::GraphCounts before = graphs();
    CHECK(in_region(*device, "same", step) == expected);
    CHECK(graphs().launched == before.launched);
    for (int i = 0; i < 5; ++i) CHECK(in_region(*device, "same", step) == expected);
    if (!counts_graphs()) continue;
    CHECK(graphs().launched == before.launched + 5);
    CHECK(graphs().made == before.made + 1);
  }
}

TEST_CASE("a graph is launched with this time's data, seeds and places in memory") {
  for (Device* device : {&cuda_device(), &caching_device()}) {
    std::vector<Tensor> kept;
    const shim::GraphCounts before = graphs();
    for (uint32_t i = 0; i < 8; ++i) {
      const Step step{.values = i, .seed = 100 * i};
      const auto expected = download(compute(*device, step));
      CHECK(in_region(*device, "changing", step) == expected);
      // Blocks that stay taken move the ones to come.
      kept.push_back(upload(*device, random_values(6 * kWidth, i), {6, kWidth}));
    }
    if (!counts_graphs()) continue;
    CHECK(graphs().launched == before.launched + 7);
    CHECK(graphs().made == before.made + 1);
    CHECK(graphs().updated >= before.updated + 6);
  }
}

TEST_CASE("other shapes and other lengths under one key give the numbers that they give without") {
  Device& device = caching_device();
  for (const int64_t rows : {6, 6, 1, 6, 40, 40, 40, 6}) {
    for (const int layers : {5, 2, 5, 5, 9}) {
      const Step step{.rows = rows, .layers = layers};
      const auto expected = download(compute(device, step));
      CHECK(in_region(device, "mixed", step) == expected);
    }
  }
}

TEST_CASE("a long region is launched in pieces") {
  Device& device = caching_device();
  const Step step{.layers = 60};
  const auto expected = download(compute(device, step));
  const shim::GraphCounts before = graphs();
  for (int i = 0; i < 4; ++i) CHECK(in_region(device, "long", step) == expected);
  if (counts_graphs()) CHECK(graphs().launched >= before.launched + 3 * 3);
}

TEST_CASE("what waits for the device in the middle of a region gets its numbers") {
  Device& device = caching_device();
  const auto values = random_values(10 * kWidth, 4);
  for (int i = 0; i < 4; ++i) {
    const Step step{.values = static_cast<uint32_t>(i)};
    const auto expected = download(compute(device, step));
    ops::begin_region(device, "waiting");
    const Tensor first = compute(device, step);
    // Indices are checked on the device.
    const Tensor table = upload(device, values, {10, kWidth});
    const Tensor ids = upload(device, std::vector<int32_t>{3, i, 9}, {3}, DType::i32);
    const Tensor rows = ops::embedding(ids, table);
    const Tensor second = compute(device, step);
    CHECK(download(first) == expected);
    const Tensor third = compute(device, step);
    ops::end_region(device);
    CHECK(download(second) == expected);
    CHECK(download(third) == expected);
    const auto got = download(rows);
    for (size_t c = 0; c < kWidth; ++c) {
      CHECK(got[kWidth + c] == values[static_cast<size_t>(i) * kWidth + c]);
    }
  }
}

TEST_CASE("an op that fails in a region fails alone, every time") {
  Device& device = caching_device();
  const Step step;
  const auto expected = download(compute(device, step));
  for (int i = 0; i < 4; ++i) {
    ops::begin_region(device, "failing");
    const Tensor before = compute(device, step);
    const Tensor table = upload(device, random_values(10 * kWidth, 4), {10, kWidth});
    const Tensor ids = upload(device, std::vector<int32_t>{3, 10}, {2}, DType::i32);
    const Tensor rows = ops::embedding(ids, table);
    const Tensor sum = ops::elementwise(ElementwiseKind::add, rows, rows);
    const Tensor huge(device, {int64_t{1} << 40}, DType::f32);
    const Tensor no_room = ops::elementwise(ElementwiseKind::add, huge, huge);
    const Tensor after = compute(device, step);
    ops::end_region(device);
    std::vector<float> target;
    const Status status = download(sum, target);
    CHECK(status.code() == ErrorCode::shape);
    CHECK(status.op() == "embedding");
    CHECK(download(before) == expected);
    CHECK(download(after) == expected);
  }
}

TEST_CASE("memory that is freed in a region is used again after the work that needs it") {
  // Blocks go back to the device at once, and the emulated one fills what it hands out with NaN.
  Device& device = cuda_device();
  const auto values = random_values(kWidth, 9);
  std::vector<float> expected = values;
  for (float& value : expected) value *= 1024;
  for (int i = 0; i < 5; ++i) {
    ops::begin_region(device, "freeing");
    Tensor x = upload(device, values, {kWidth});
    for (int doubling = 0; doubling < 10; ++doubling) {
      x = ops::elementwise(ElementwiseKind::add, x, x);
    }
    ops::end_region(device);
    CHECK(download(x) == expected);
  }
}

TEST_CASE("graphs of keys that are no longer used are let go of") {
  Device& device = new_cuda_device(size_t{64} << 20);
  const Step step{.rows = 1, .layers = 1};
  const auto expected = download(compute(device, step));
  const uint64_t before = graphs().alive;
  for (int key = 0; key < 400; ++key) {
    for (int i = 0; i < 2; ++i) {
      CHECK(in_region(device, "key " + std::to_string(key), step) == expected);
    }
  }
  if (counts_graphs()) CHECK(graphs().alive <= before + 256);
}

TEST_CASE("without memory for a graph the work is queued one by one") {
  if (!counts_graphs()) return;
  Device& device = new_cuda_device();
  const Step step;
  const auto expected = download(compute(device, step));
  const shim::GraphCounts before = graphs();
  graphs().refuse = true;
  for (int i = 0; i < 6; ++i) CHECK(in_region(device, "refused", step) == expected);
  graphs().refuse = false;
  CHECK(graphs().launched == before.launched);
}

TEST_CASE("ESPALIER_CUDA_GRAPHS=0 makes no graphs") {
  setenv("ESPALIER_CUDA_GRAPHS", "0", 1);
  Device& device = new_cuda_device();
  const Step step;
  const auto expected = download(compute(device, step));
  unsetenv("ESPALIER_CUDA_GRAPHS");
  const shim::GraphCounts before = graphs();
  for (int i = 0; i < 3; ++i) CHECK(in_region(device, "off", step) == expected);
  CHECK(graphs().launched == before.launched);
}

TEST_CASE("a region that nobody ends, and two threads' regions on one device, change no number") {
  Device& device = caching_device();
  std::array<std::vector<float>, 2> expected;
  for (uint32_t i = 0; i < 2; ++i) expected[i] = download(compute(device, {.values = i}));
  std::array<int, 2> wrong{};
  std::vector<std::thread> threads;
  for (uint32_t thread = 0; thread < 2; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 20; ++i) {
        wrong[thread] +=
            in_region(device, "shared", {.values = thread}) == expected[thread] ? 0 : 1;
      }
      ops::begin_region(device, "open");
      wrong[thread] += download(compute(device, {.values = thread})) == expected[thread] ? 0 : 1;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == std::array<int, 2>{});
  ops::end_region(device);
}

TEST_CASE("the CPU knows regions and does nothing about them") {
  Device& device = cpu::cpu_device();
  const Step step;
  CHECK(in_region(device, "cpu", step) == download(compute(device, step)));
}

}  // namespace
}  // namespace espalier::test
