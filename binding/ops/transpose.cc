#include "binding/ops/transpose.h"

#include "binding/ops/check.h"

namespace espalier::ops {

Tensor transpose(const Tensor& x) {
  constexpr const char* kOp = "transpose";
  expect_rank(kOp, "x", x, 2);
  const Tensor output(x.device(), {x.shape()[1], x.shape()[0]}, x.dtype());
  submit(kOp, {x}, {output}, [=](Backend& backend) {
    return backend.transpose({.x = x.const_view(), .output = output.view()});
  });
  return output;
}

}  // namespace espalier::ops
