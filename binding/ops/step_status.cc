#include "binding/ops/step_status.h"

#include "binding/ops/check.h"
#include "binding/ops/tensor_list.h"

namespace espalier::ops {

Tensor step_status(const std::vector<Tensor>& tensors) {
  constexpr const char* kOp = "stepStatus";
  if (tensors.empty()) value_error(kOp, "tensors", "at least one tensor", "none");
  const Tensor output(tensors.front().device(), Shape{}, DType::u8);
  submit(kOp, optional(tensors), std::vector<OptionalTensor>{output},
         [=](Backend& backend) { return backend.clear(output.view()); });
  return output;
}

StepAccess step_access(const char* op, const std::vector<OptionalTensor>& state,
                       const std::vector<OptionalTensor>& others, const OptionalTensor& status) {
  StepAccess access{.reads = state, .writes = state};
  access.reads.insert(access.reads.end(), others.begin(), others.end());
  if (!status) return access;
  expect_dtype(op, "status", *status, {DType::u8});
  expect_shape(op, "status", *status, Shape{});
  for (const OptionalTensor& tensor : state) {
    if (!tensor || !tensor->buffer()->read_only()) continue;
    throw Error(ErrorCode::config, op, "cannot write into a mapped file");
  }
  access.reads.push_back(status);
  // What is no output is not poisoned. It exists already: something has filled it.
  access.writes = {status};
  return access;
}

}  // namespace espalier::ops
