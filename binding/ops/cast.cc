#include "binding/ops/cast.h"

namespace espalier::ops {

Tensor cast(const Tensor& x, DType dtype) {
  const Tensor output(x.device(), x.shape(), dtype);
  submit("cast", {x}, {output}, [=](Backend& backend) {
    return backend.cast({.x = x.const_view(), .output = output.view()});
  });
  return output;
}

}  // namespace espalier::ops
