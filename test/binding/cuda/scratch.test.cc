#include <doctest/doctest.h>

#include "binding/ops/squared_error.h"
#include "test/binding/devices.h"

namespace espalier::test {
namespace {

// The pool's figures once the dispatcher has let go of the tasks before.
MemoryStatistics figures(Device& device) {
  CHECK(settle(device).ok());
  return device.pool().statistics();
}

TEST_CASE(
    "what ops need for themselves comes from their device's pool, which keeps it for the next") {
  constexpr size_t kCache = size_t{1} << 20;
  constexpr size_t kBlock = 64;
  Device& device = new_cuda_device(kCache);
  const auto values = random_values(1000, 1);
  const Tensor x = upload(device, values, {1000});
  const Tensor y = upload(device, random_values(1000, 2), {1000});
  const auto first = download<double>(ops::squared_error(x, y));
  const MemoryStatistics before = figures(device);
  // Two tensors stay; the result and the temporaries are kept for reuse.
  CHECK(before.in_use >= 2 * 4000);
  CHECK(before.peak > before.in_use + kBlock);
  CHECK(before.cached == before.peak - before.in_use);
  for (int i = 0; i < 50; ++i) CHECK(download<double>(ops::squared_error(x, y)) == first);
  CHECK(figures(device).cached == before.cached);
  CHECK(figures(device).peak == before.peak);
  device.pool().set_cache_limit(0);
  CHECK(figures(device).cached == 0);
  CHECK(download<double>(ops::squared_error(x, y)) == first);
  CHECK(figures(device).cached == 0);
}

}  // namespace
}  // namespace espalier::test
