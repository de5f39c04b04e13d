// Cross-entropy of a classifier over rows of hidden states, a chunk of logits at a time:
// loss[n] = log Σ_v exp(z_v) - z_t with z = W h_n + b and t = targets[n]. h: [N, D] f32; W: [V, D]
// and b: [V] f32, bf16 or f16; logits are f32 and live in scratch memory only.
#include <algorithm>

#include "cuda/cuda_backend.h"
#include "cuda/logits.h"
#include "cuda/scratch.h"
#include "cuda/softmax_rows.h"

namespace espalier::cuda {

Status CudaBackend::cross_entropy(const CrossEntropyArguments& a) {
  const int64_t rows = a.hidden.shape[0];
  const int64_t vocabulary = a.weight.shape[0];
  int64_t counted = 0;
  if (Status status =
          check_targets(*this, "targets", a.targets, vocabulary, a.ignore_index, &counted);
      !status.ok()) {
    return status;
  }
  const int64_t chunk = logits_chunk(a.chunk, rows, vocabulary);
  const Scratch<float> logits(*this, static_cast<size_t>(chunk * vocabulary));
  if (logits.data() == nullptr) return out_of_scratch();
  for (int64_t start = 0; start < rows; start += chunk) {
    const int64_t count = std::min(chunk, rows - start);
    if (Status status = make_logits(*this, a, start, count, logits.data()); !status.ok()) {
      return status;
    }
    if (Status status = softmax_rows(*this, {.logits = logits.data(),
                                             .rows = count,
                                             .classes = vocabulary,
                                             .targets = a.targets,
                                             .first = start,
                                             .ignored = a.ignore_index,
                                             .losses = a.output.as<float>() + start});
        !status.ok()) {
      return status;
    }
  }
  return {};
}

}  // namespace espalier::cuda
