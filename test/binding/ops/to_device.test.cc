#include "binding/ops/to_device.h"

#include <doctest/doctest.h>

#include <thread>

#include "binding/ops/elementwise.h"
#include "test/binding/devices.h"

namespace espalier::test {
namespace {

TEST_CASE("a tensor arrives on another device as it was when the copy was queued") {
  for (Device* from : devices()) {
    for (Device* to : devices()) {
      const auto values = random_values(1001, 3);
      const Tensor x = upload(*from, values, {7, 143});
      const Tensor there = ops::to_device(x, *to);
      CHECK(&there.device() == to);
      CHECK(there.shape() == x.shape());
      CHECK(download(there) == values);
      CHECK(download(ops::to_device(there, *from)) == values);
      CHECK(download(ops::to_device(upload(*from, std::vector<float>{}, {0, 3}), *to)).empty());
    }
  }
}

TEST_CASE("what failed on one device has failed on the other") {
  for (Device* from : devices()) {
    for (Device* to : devices()) {
      if (from == to) continue;
      const Tensor x(*from, {4}, DType::f32);
      from->stream().submit({.op = "broken",
                             .reads = {},
                             .writes = {x},
                             .run = [](Backend&) { return Status(ErrorCode::numeric, "broken"); },
                             .done = {}});
      std::vector<float> target;
      const Status status = download(ops::to_device(x, *to), target);
      CHECK(status.code() == ErrorCode::numeric);
      CHECK(status.op() == "broken");
    }
  }
}

TEST_CASE("two threads that copy in opposite directions do not wait for each other") {
  Device& first = *devices().front();
  Device& second = *devices().back();
  const auto bounce = [](Device& a, Device& b) {
    for (int i = 0; i < 200; ++i) {
      const std::vector<float> values{static_cast<float>(i), 1, 2};
      const Tensor there = ops::to_device(upload(a, values, {3}), b);
      if (i % 20 == 0) CHECK(download(there) == values);
    }
  };
  std::thread other([&] { bounce(second, first); });
  bounce(first, second);
  other.join();
}

}  // namespace
}  // namespace espalier::test
