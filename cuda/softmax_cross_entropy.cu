// Mean cross-entropy of given logits and its gradient (softmax(z) - one_hot(label)) / c over the c
// rows whose label counts; z: [N, C] f32. Losses are f32, their sum f64.
#include <algorithm>

#include "cuda/cuda_backend.h"
#include "cuda/mean_loss.h"
#include "cuda/scratch.h"
#include "cuda/softmax_rows.h"

namespace espalier::cuda {

Status CudaBackend::softmax_cross_entropy(const SoftmaxCrossEntropyArguments& a) {
  const int64_t rows = a.logits.shape[0];
  const int64_t classes = a.logits.shape[1];
  int64_t counted = 0;
  if (Status status = check_targets(*this, "labels", a.labels, classes, a.ignore_index, &counted);
      !status.ok()) {
    return status;
  }
  const Scratch<float> losses(*this, static_cast<size_t>(rows));
  if (losses.data() == nullptr) return out_of_scratch();
  const auto factor = static_cast<float>(1.0 / static_cast<double>(std::max<int64_t>(1, counted)));
  if (Status status = softmax_rows(*this, {.logits = a.logits.as<float>(),
                                           .rows = rows,
                                           .classes = classes,
                                           .targets = a.labels,
                                           .ignored = a.ignore_index,
                                           .losses = losses.data(),
                                           .gradient = a.gradient.as<float>(),
                                           .factor = factor});
      !status.ok()) {
    return status;
  }
  return mean_loss(*this, losses.data(), rows, counted, a.loss.as<float>());
}

}  // namespace espalier::cuda
