#include <doctest/doctest.h>

#include <cstdlib>

#include "binding/ops/linear.h"
#include "test/binding/devices.h"

namespace espalier::test {
namespace {

// The emulated GPU as a card before bf16 tensor cores, which it says it is while its stream starts.
// Devices are never destroyed.
Device& old_card() {
  static auto* const device = [] {
    setenv("ESPALIER_SHIM_CAPABILITY", "75", 1);
    auto* made = new Device(
        "cuda:0",
        BackendLibrary(ESPALIER_CUDA_SHIM_LIBRARY).create(0, cpu::cpu_device().backend()));
    download(upload(*made, std::vector<float>{1}, {1}));
    unsetenv("ESPALIER_SHIM_CAPABILITY");
    return made;
  }();
  return *device;
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

}  // namespace
}  // namespace espalier::test
