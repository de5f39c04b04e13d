#include "binding/ops/dropout.h"

#include "binding/ops/check.h"

namespace espalier::ops {

Tensor dropout(const Tensor& x, double probability, uint64_t seed) {
  constexpr const char* kOp = "dropout";
  expect_dtype(kOp, "x", x, {DType::f32});
  if (!(probability >= 0 && probability < 1)) {
    value_error(kOp, "probability", "a number in [0, 1)", std::to_string(probability));
  }
  const Tensor output(x.device(), x.shape(), DType::f32);
  submit(kOp, {x}, {output}, [=](Backend& backend) {
    return backend.dropout(
        {.x = x.const_view(), .output = output.view(), .probability = probability, .seed = seed});
  });
  return output;
}

}  // namespace espalier::ops
