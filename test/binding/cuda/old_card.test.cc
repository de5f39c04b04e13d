#include <doctest/doctest.h>

#include <array>
#include <cstdlib>

#include "binding/ops/attention.h"
#include "binding/ops/linear.h"
#include "test/binding/devices.h"

namespace espalier::test {
namespace {

// The emulated GPU as a card of a compute capability, which it says it is while its stream starts.
// Devices are never destroyed.
Device& emulated_card(const char* capability) {
  setenv("ESPALIER_SHIM_CAPABILITY", capability, 1);
  auto* made = new Device(
      "cuda:0", BackendLibrary(ESPALIER_CUDA_SHIM_LIBRARY).create(0, cpu::cpu_device().backend()),
      0);
  download(upload(*made, std::vector<float>{1}, {1}));
  unsetenv("ESPALIER_SHIM_CAPABILITY");
  return *made;
}

// The last ones before bf16 tensor cores.
Device& old_card() {
  static Device& device = emulated_card("75");
  return device;
}

TEST_CASE("bf16 products are those of rounded factors on cards without bf16 tensor cores too") {
  const auto run = [](Device& device, const std::vector<float>& x, const std::vector<float>& w,
                      Products products) {
    return download(ops::linear(upload(device, x, {20, 75}), upload(device, w, {33, 75}),
                                std::nullopt, products));
  };
  const auto x = random_values(20 * 75, 1);
  const auto w = random_values(33 * 75, 2);
  // The same kernel on the same factors: the same bits.
  CHECK(run(old_card(), x, w, Products::bf16) ==
        run(old_card(), rounded_to(x, DType::bf16), rounded_to(w, DType::bf16), Products::f32));
  CHECK(run(old_card(), x, w, Products::bf16) != run(old_card(), x, w, Products::f32));
}

TEST_CASE(
    "attention and its gradients fit into the shared memory of older cards, to the same values") {
  for (const int64_t columns : {64, 96, 128, 250}) {
    const Shape shape{1, 70, 2, columns};
    const auto count = static_cast<size_t>(shape.elements());
    const auto run = [&](Device& device, Products products) {
      const Tensor q = upload(device, random_values(count, 1), shape);
      const Tensor k = upload(device, random_values(count, 2), shape);
      const Tensor v = upload(device, random_values(count, 3), shape);
      const ops::AttentionOptions options{
          .scale = 0.1, .products = products, .want_log_sum_exp = true};
      const auto forward = ops::attention(q, k, v, options);
      const auto back = ops::attention_backward(upload(device, random_values(count, 4), shape), q,
                                                k, v, forward, options);
      return std::array{download(forward.output), download(back.q), download(back.k),
                        download(back.v)};
    };
    const auto expected = run(cpu::cpu_device(), Products::f32);
    const auto got = run(old_card(), Products::f32);
    for (size_t i = 0; i < got.size(); ++i) CHECK(normalised_error(got[i], expected[i]) < 1e-10);
    // Without bf16 tensor cores nothing is rounded; with them everything is.
    static Device& newer_card = emulated_card("80");
    CHECK(run(old_card(), Products::bf16) == got);
    const auto rounded = run(newer_card, Products::bf16);
    for (size_t i = 0; i < got.size(); ++i) CHECK(rounded[i] != got[i]);
  }
}

}  // namespace
}  // namespace espalier::test
