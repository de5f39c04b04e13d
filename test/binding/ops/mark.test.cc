#include "binding/ops/mark.h"

#include <doctest/doctest.h>

#include <chrono>
#include <thread>

#include "binding/ops/linear.h"
#include "test/binding/devices.h"

namespace espalier::test {
namespace {

// Holds the device's queue up for a while.
void wait_on(Device& device, std::chrono::milliseconds time) {
  device.stream().submit({.op = "wait",
                          .reads = {},
                          .writes = {},
                          .run =
                              [time](Backend& /*backend*/) {
                                std::this_thread::sleep_for(time);
                                return Status();
                              },
                          .done = {}});
}

double seconds(const ops::StreamMark& from, const ops::StreamMark& to) {
  return download<double>(ops::elapsed(from, to)).at(0);
}

TEST_CASE("what stands between two marks is timed, and times of neighbours add up") {
  for (Device* device : devices()) {
    const Tensor x = upload(*device, random_values(64 * 64, 1), {64, 64});
    const auto first = ops::mark(*device);
    wait_on(*device, std::chrono::milliseconds(20));
    const auto second = ops::mark(*device);
    for (int i = 0; i < 3; ++i) ops::linear(x, x, std::nullopt);
    const auto third = ops::mark(*device);
    // Events count in steps of half a microsecond, in f32 milliseconds.
    CHECK(seconds(first, second) > 0.0199);
    CHECK(seconds(second, third) > 0);
    CHECK(seconds(first, third) ==
          doctest::Approx(seconds(first, second) + seconds(second, third)).epsilon(1e-3));
    CHECK(seconds(first, first) == 0);
  }
}

TEST_CASE("marks of two devices have no time between them") {
  const auto all = devices();
  const auto first = ops::mark(*all.front());
  const auto last = ops::mark(*all.back());
  CHECK_THROWS_AS(ops::elapsed(first, last), Error);
}

}  // namespace
}  // namespace espalier::test
