// Mean cross-entropy of a classifier with its gradients, a chunk of logits at a time. With
// Z = H Wᵀ + b of a chunk and c the number of counted targets:
//   P = (softmax(Z) - one_hot(targets)) / c, rows of ignored targets 0;
//   dH = P W,  dW += Pᵀ H,  db += column sums of P.
// P takes the place of Z, so each logit is computed once and one chunk is all that is held.
// H: [N, D] f32; W: [V, D] and b: [V] f32, bf16 or f16. Losses and a chunk's column sums are f64.
#include <algorithm>

#include "cuda/column_sums.h"
#include "cuda/cuda_backend.h"
#include "cuda/device.h"
#include "cuda/logits.h"
#include "cuda/mean_loss.h"
#include "cuda/scratch.h"
#include "cuda/softmax_rows.h"

namespace espalier::cuda {
namespace {

__global__ void add_sums(const double* sums, int64_t count, bool accumulate, float* target) {
  for (int64_t i = global_thread(); i < count; i += global_threads()) {
    const double before = accumulate ? static_cast<double>(target[i]) : 0.0;
    target[i] = static_cast<float>(before + sums[i]);
  }
}

Status add_bias_gradient(CudaBackend& backend, const CrossEntropyMeanArguments& a, const float* p,
                         int64_t start, int64_t rows) {
  const int64_t vocabulary = a.weight.shape[0];
  const Scratch<double> sums(backend, static_cast<size_t>(vocabulary));
  if (sums.data() == nullptr) return out_of_scratch();
  if (Status status = column_sums(backend, p, rows, vocabulary, sums.data()); !status.ok()) {
    return status;
  }
  return launch(add_sums, {.blocks = blocks_for(vocabulary, 256), .threads = 256}, backend.stream(),
                sums.data(), vocabulary, start > 0, a.bias_gradient.as<float>());
}

Status add_gradients(CudaBackend& backend, const CrossEntropyMeanArguments& a, const float* p,
                     int64_t start, int64_t rows) {
  const int64_t width = a.hidden.shape[1];
  const int64_t vocabulary = a.weight.shape[0];
  if (a.hidden_gradient.data != nullptr) {
    if (Status status = multiply(
            backend, {.m = rows,
                      .n = width,
                      .k = vocabulary,
                      .a = {.data = p, .dtype = DType::f32, .stride = vocabulary},
                      .b = {.data = a.weight.data, .dtype = a.weight.dtype, .stride = width},
                      .c = a.hidden_gradient.as<float>() + start * width,
                      .c_stride = width,
                      .bias = {},
                      .products = a.products});
        !status.ok()) {
      return status;
    }
  }
  if (a.weight_gradient.data != nullptr) {
    if (Status status = multiply(
            backend,
            {.m = vocabulary,
             .n = width,
             .k = rows,
             .a = {.data = p, .dtype = DType::f32, .stride = vocabulary, .transposed = true},
             .b = {.data = a.hidden.as<float>() + start * width,
                   .dtype = DType::f32,
                   .stride = width},
             .c = a.weight_gradient.as<float>(),
             .c_stride = width,
             .beta = start > 0 ? 1.0F : 0.0F,
             .bias = {}});
        !status.ok()) {
      return status;
    }
  }
  if (a.bias_gradient.data == nullptr) return {};
  return add_bias_gradient(backend, a, p, start, rows);
}

Status clear_all(CudaBackend& backend, const CrossEntropyMeanArguments& a) {
  for (const View& view : {a.loss, a.hidden_gradient, a.weight_gradient, a.bias_gradient}) {
    if (view.data == nullptr) continue;
    if (Status status = backend.clear(view); !status.ok()) return status;
  }
  return {};
}

}  // namespace

Status CudaBackend::cross_entropy_mean(const CrossEntropyMeanArguments& a) {
  const int64_t rows = a.hidden.shape[0];
  const int64_t vocabulary = a.weight.shape[0];
  int64_t counted = 0;
  if (Status status =
          check_targets(*this, "targets", a.targets, vocabulary, a.ignore_index, &counted);
      !status.ok()) {
    return status;
  }
  if (counted == 0) return clear_all(*this, a);
  const bool gradient = a.hidden_gradient.data != nullptr || a.weight_gradient.data != nullptr ||
                        a.bias_gradient.data != nullptr;
  const int64_t chunk = logits_chunk(a.chunk, rows, vocabulary);
  const Scratch<float> logits(*this, static_cast<size_t>(chunk * vocabulary));
  const Scratch<float> losses(*this, static_cast<size_t>(rows));
  if (logits.data() == nullptr || losses.data() == nullptr) return out_of_scratch();
  for (int64_t start = 0; start < rows; start += chunk) {
    const int64_t count = std::min(chunk, rows - start);
    if (Status status = make_logits(*this, a, start, count, logits.data()); !status.ok()) {
      return status;
    }
    if (Status status =
            softmax_rows(*this, {.logits = logits.data(),
                                 .rows = count,
                                 .classes = vocabulary,
                                 .targets = a.targets,
                                 .first = start,
                                 .ignored = a.ignore_index,
                                 .losses = losses.data() + start,
                                 .gradient = gradient ? logits.data() : nullptr,
                                 .factor = static_cast<float>(1.0 / static_cast<double>(counted))});
        !status.ok()) {
      return status;
    }
    if (Status status = add_gradients(*this, a, logits.data(), start, count); !status.ok()) {
      return status;
    }
  }
  return mean_loss(*this, losses.data(), rows, counted, a.loss.as<float>());
}

}  // namespace espalier::cuda
