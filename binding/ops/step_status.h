// Steps that change parameters wholly or not at all.
#pragma once

#include <utility>
#include <vector>

#include "binding/ops/submit.h"

namespace espalier::ops {

/// u8 [] that takes the failure of the first of `tensors` (at least one) that failed. A step that
/// carries it changes its state only when all of them are usable. Throws CONFIG, DEVICE_MISMATCH.
Tensor step_status(const std::vector<Tensor>& tensors);

/// The part of submit_step() that is no template: what its task reads and writes.
struct StepAccess {
  std::vector<OptionalTensor> reads;
  std::vector<OptionalTensor> writes;
};

/// See submit_step().
StepAccess step_access(const char* op, const std::vector<OptionalTensor>& state,
                       const std::vector<OptionalTensor>& others, const OptionalTensor& status);

/// submit() of a step that changes `state` in place and reads `others`. Without `status` a failure
/// poisons the state, as with any op. With it, the state keeps its content and stays usable, the
/// failure goes into `status`, and later steps with the same status do not run; `run` must then
/// fail before it changes anything. Throws what submit() throws, and DTYPE and SHAPE for a status
/// that is not u8 [].
template <class Run>
void submit_step(const char* op, const std::vector<OptionalTensor>& state,
                 const std::vector<OptionalTensor>& others, const OptionalTensor& status,
                 Run&& run) {
  const StepAccess access = step_access(op, state, others, status);
  submit(op, access.reads, access.writes, std::forward<Run>(run));
}

}  // namespace espalier::ops
