#include "binding/ops/step_status.h"

#include <doctest/doctest.h>

#include "binding/ops/adam_w.h"
#include "binding/ops/sgd.h"
#include "test/binding/devices.h"

namespace espalier::test {
namespace {

// A tensor that no memory can be had for.
Tensor failed(Device& device, const Shape& shape) {
  const Tensor tensor(device, shape, DType::f32);
  device.stream().submit(
      {.op = "broken",
       .reads = {},
       .writes = {tensor},
       .run = [](Backend&) { return Status(ErrorCode::out_of_memory, "there is none"); },
       .done = {}});
  return tensor;
}

// Of the work that a tensor comes from.
Status status_of(const Tensor& tensor) {
  return run(tensor.device(), {.op = "look",
                               .reads = {tensor},
                               .writes = {},
                               .run = [](Backend&) { return Status(); },
                               .done = {}});
}

ops::SgdState sgd_state(Device& device, const Tensor& gradient) {
  return {.parameters = {upload(device, std::vector<float>{1, 2}, {2})},
          .gradients = {gradient},
          .velocities = {}};
}

TEST_CASE("a step with a status leaves its state alone when something it reads has failed") {
  for (Device* device : devices()) {
    const Tensor good = upload(*device, std::vector<float>{1, 1}, {2});
    const Tensor bad = failed(*device, {2});
    const ops::SgdState first = sgd_state(*device, good);
    const ops::SgdState second = sgd_state(*device, bad);
    const Tensor status = ops::step_status({good, bad});
    for (const auto* state : {&first, &second}) {
      ops::sgd(*state, {.learning_rate = 1, .norm = {}, .status = status});
      CHECK(download(state->parameters[0]) == std::vector<float>{1, 2});
    }
    CHECK(status_of(status).code() == ErrorCode::out_of_memory);
    CHECK(status_of(status).op() == "broken");

    const Tensor fine = ops::step_status({good});
    ops::sgd(first, {.learning_rate = 1, .norm = {}, .status = fine});
    CHECK(download(first.parameters[0]) == std::vector<float>{0, 1});
  }
}

TEST_CASE("a part of a step that fails itself stops the parts after it") {
  for (Device* device : devices()) {
    const Tensor good = upload(*device, std::vector<float>{1, 1}, {2});
    const Tensor status = ops::step_status({good});
    const ops::SgdState broken = sgd_state(*device, failed(*device, {2}));
    ops::sgd(broken, {.norm = {}, .status = status});
    const ops::SgdState later = sgd_state(*device, good);
    ops::sgd(later, {.norm = {}, .status = status});
    CHECK(status_of(status).op() == "broken");
    CHECK(download(later.parameters[0]) == std::vector<float>{1, 2});
  }
}

TEST_CASE("a step without a status makes its state unusable when it fails") {
  for (Device* device : devices()) {
    const ops::SgdState state = sgd_state(*device, failed(*device, {2}));
    ops::sgd(state, {.norm = {}});
    CHECK(status_of(state.parameters[0]).code() == ErrorCode::out_of_memory);
  }
}

TEST_CASE("a step refuses a status of another kind, and one of nothing is none") {
  Device& device = *devices().front();
  const Tensor good = upload(device, std::vector<float>{1, 1}, {2});
  CHECK_THROWS_AS(ops::sgd(sgd_state(device, good), {.norm = {}, .status = good}), Error);
  CHECK_THROWS_AS(ops::step_status({}), Error);
}

}  // namespace
}  // namespace espalier::test
