// Mean cross-entropy of given logits and its gradient (softmax(z) - one_hot(label)) / c over the c
// rows whose label counts; z: [N, C] f32. Losses are summed in f64, in order.
#include <algorithm>

#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/indices.h"
#include "binding/cpu/scratch.h"
#include "binding/cpu/softmax_row.h"

namespace espalier::cpu {
namespace {

// Loss of one row; its gradient, when wanted, is made where a copy of its logits lies.
float row_loss(const SoftmaxCrossEntropyArguments& a, int64_t row, int64_t label, float factor) {
  const int64_t classes = a.logits.shape[1];
  const float* z = a.logits.as<float>() + row * classes;
  const bool ignored = label == a.ignore_index;
  if (a.gradient.data == nullptr) return ignored ? 0 : softmax_loss(z, classes, label);
  float* gradient = a.gradient.as<float>() + row * classes;
  if (ignored) {
    std::fill_n(gradient, classes, 0.0F);
    return 0;
  }
  std::copy_n(z, classes, gradient);
  return softmax_gradient(gradient, classes, label, factor);
}

}  // namespace

Status CpuBackend::softmax_cross_entropy(const SoftmaxCrossEntropyArguments& arguments) {
  const SoftmaxCrossEntropyArguments& a = arguments;
  const int64_t rows = a.logits.shape[0];
  const int64_t classes = a.logits.shape[1];
  int64_t counted = 0;
  Status status = check_targets("labels", a.labels, classes, a.ignore_index, &counted);
  if (!status.ok()) return status;
  const Scratch<float> losses(static_cast<size_t>(rows));
  if (losses.data() == nullptr) return out_of_scratch();
  const auto factor = static_cast<float>(1.0 / static_cast<double>(std::max<int64_t>(1, counted)));
  with_index_type(a.labels, [&](const auto* labels) {
#pragma omp parallel for schedule(static) if (rows * classes > 16384)
    for (int64_t row = 0; row < rows; ++row) {
      losses.data()[row] = row_loss(a, row, static_cast<int64_t>(labels[row]), factor);
    }
  });
  double total = 0;
  for (int64_t row = 0; row < rows; ++row) total += static_cast<double>(losses.data()[row]);
  *a.loss.as<float>() =
      counted == 0 ? 0.0F : static_cast<float>(total / static_cast<double>(counted));
  return {};
}

}  // namespace espalier::cpu
