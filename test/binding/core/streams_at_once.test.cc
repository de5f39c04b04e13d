#include <doctest/doctest.h>

#include <array>
#include <thread>
#include <vector>

#include "binding/ops/attention.h"
#include "binding/ops/linear.h"
#include "binding/ops/masked_matmul.h"
#include "binding/ops/rms_norm.h"
#include "test/binding/devices.h"

namespace espalier::test {
namespace {

// A little of everything: products, shared memory, reductions, temporaries.
std::vector<float> compute(Device& device) {
  const Tensor x = upload(device, random_values(48 * 64, 1), {48, 64});
  const Tensor w = upload_as(device, random_values(64 * 64, 2), {64, 64}, DType::bf16);
  const Tensor ones = upload(device, std::vector<float>(64, 1.0F), {64});
  Tensor y = x;
  for (int i = 0; i < 3; ++i) {
    y = ops::linear(y, w, std::nullopt, i % 2 == 0 ? Products::f32 : Products::bf16);
    y = ops::rms_norm(y, ones, 1e-6F, std::nullopt).output;
    const Tensor heads = y.reshape({2, 24, 4, 16});
    y = ops::attention(heads, heads, heads, {.scale = 0.25}).output.reshape({48, 64});
    ops::Masks masks{.rows = upload(device, std::vector<int32_t>{1, 5, 60}, {3}, DType::i32),
                     .columns = {},
                     .mask = {},
                     .compact = false};
    y = ops::masked_matmul(y, w, std::nullopt, masks);
    y = ops::linear(y, w, std::nullopt);
  }
  return download(y);
}

TEST_CASE("two streams of one GPU compute at once, each as if it were alone") {
  const std::array<Device*, 2> streams{&new_cuda_device(), &new_cuda_device()};
  const auto alone = compute(cuda_device());
  std::vector<std::thread> threads;
  std::array<int, 2> wrong{};
  for (size_t i = 0; i < streams.size(); ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 10; ++round) wrong[i] += compute(*streams[i]) == alone ? 0 : 1;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == std::array<int, 2>{});
}

}  // namespace
}  // namespace espalier::test
