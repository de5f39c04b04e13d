#include "binding/ops/mark.h"

namespace espalier::ops {

StreamMark mark(Device& device) {
  StreamMark result{Tensor(device, Shape{0}, DType::u8), std::make_shared<std::unique_ptr<Mark>>()};
  submit("mark", {}, {result.status},
         [slot = result.mark](Backend& backend) { return backend.mark(*slot); });
  return result;
}

Tensor elapsed(const StreamMark& from, const StreamMark& to) {
  const Tensor seconds(from.status.device(), Shape{}, DType::f64);
  submit("elapsed", {from.status, to.status}, {seconds},
         [seconds, first = from.mark, last = to.mark](Backend& backend) {
           double value = 0;
           if (Status status = backend.elapsed(**first, **last, value); !status.ok()) return status;
           return backend.copy_from_host(seconds.view(), &value);
         });
  return seconds;
}

}  // namespace espalier::ops
