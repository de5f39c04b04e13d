// Mean cross-entropy of a classifier with its gradients, a chunk of logits at a time. With
// Z = H Wᵀ + b of a chunk and c the number of counted targets:
//   P = (softmax(Z) - one_hot(targets)) / c, rows of ignored targets 0;
//   dH = P W,  dW += Pᵀ H,  db += column sums of P.
// P takes the place of Z, so each logit is computed once and one chunk is all that is held.
// H: [N, D] f32; W: [V, D] and b: [V] f32, bf16 or f16. Losses are summed in f64, in order.
#include <algorithm>

#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/gemm.h"
#include "binding/cpu/indices.h"
#include "binding/cpu/scratch.h"
#include "binding/cpu/softmax_row.h"
#include "binding/cpu/weight_product.h"

namespace espalier::cpu {
namespace {

// Bytes of logits held at once when the caller does not say.
constexpr int64_t kChunkBytes = int64_t{64} << 20;

// target[v] += Σ_rows p[row, v], in the order of the rows.
void add_column_sums(const float* p, int64_t rows, int64_t columns, float* target) {
  constexpr int64_t kBlock = 1024;
#pragma omp parallel for schedule(static) if (rows * columns > 65536)
  for (int64_t start = 0; start < columns; start += kBlock) {
    const int64_t end = std::min(columns, start + kBlock);
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t v = start; v < end; ++v) target[v] += p[row * columns + v];
    }
  }
}

// Losses of a chunk of logits, which become P when a gradient is wanted.
template <class Target>
void softmax_rows(const CrossEntropyMeanArguments& a, const Target* targets, int64_t rows,
                  bool gradient, float factor, float* logits, float* losses) {
  const int64_t vocabulary = a.weight.shape[0];
#pragma omp parallel for schedule(static) if (rows * vocabulary > 16384)
  for (int64_t row = 0; row < rows; ++row) {
    const auto target = static_cast<int64_t>(targets[row]);
    float* z = logits + row * vocabulary;
    losses[row] = 0;
    if (target == a.ignore_index) {
      if (gradient) std::fill_n(z, vocabulary, 0.0F);
    } else if (gradient) {
      losses[row] = softmax_gradient(z, vocabulary, target, factor);
    } else {
      losses[row] = softmax_loss(z, vocabulary, target);
    }
  }
}

Status add_gradients(const CrossEntropyMeanArguments& a, const float* p, int64_t start,
                     int64_t rows) {
  const int64_t width = a.hidden.shape[1];
  const int64_t vocabulary = a.weight.shape[0];
  if (a.hidden_gradient.data != nullptr) {
    float* target = a.hidden_gradient.as<float>() + start * width;
    Status status = input_gradient(p, rows, a.weight, target, false, a.products);
    if (!status.ok()) return status;
  }
  if (a.weight_gradient.data != nullptr) {
    Status status = gemm({.transpose_a = true,
                          .m = vocabulary,
                          .n = width,
                          .k = rows,
                          .a = p,
                          .lda = vocabulary,
                          .b = a.hidden.as<float>() + start * width,
                          .ldb = width,
                          .c = a.weight_gradient.as<float>(),
                          .ldc = width,
                          .accumulate = start > 0});
    if (!status.ok()) return status;
  }
  if (a.bias_gradient.data != nullptr) {
    add_column_sums(p, rows, vocabulary, a.bias_gradient.as<float>());
  }
  return {};
}

void clear_gradients(const CrossEntropyMeanArguments& a) {
  for (const View& view : {a.hidden_gradient, a.weight_gradient, a.bias_gradient}) {
    if (view.data != nullptr) std::fill_n(view.as<float>(), view.shape.elements(), 0.0F);
  }
}

template <class Target>
Status cross_entropy_mean(const CrossEntropyMeanArguments& a, const Target* targets) {
  const int64_t rows = a.hidden.shape[0];
  const int64_t width = a.hidden.shape[1];
  const int64_t vocabulary = a.weight.shape[0];
  int64_t counted = 0;
  Status status = check_targets("targets", a.targets, vocabulary, a.ignore_index, &counted);
  if (!status.ok()) return status;
  *a.loss.as<float>() = 0;
  if (counted == 0) {
    clear_gradients(a);
    return {};
  }
  if (a.bias_gradient.data != nullptr) std::fill_n(a.bias_gradient.as<float>(), vocabulary, 0.0F);
  const bool gradient = a.hidden_gradient.data != nullptr || a.weight_gradient.data != nullptr ||
                        a.bias_gradient.data != nullptr;
  const int64_t row_bytes = vocabulary * int64_t{sizeof(float)};
  const int64_t wanted = a.chunk > 0 ? a.chunk : kChunkBytes / row_bytes;
  const int64_t chunk = std::min(rows, std::max<int64_t>(1, wanted));
  const Scratch<float> logits(static_cast<size_t>(chunk * vocabulary));
  const Scratch<float> losses(static_cast<size_t>(rows));
  if (logits.data() == nullptr || losses.data() == nullptr) return out_of_scratch();
  const auto factor = static_cast<float>(1.0 / static_cast<double>(counted));
  for (int64_t start = 0; start < rows; start += chunk) {
    const int64_t count = std::min(chunk, rows - start);
    status = weight_product(a.hidden.as<float>() + start * width, count, a.weight, a.bias,
                            logits.data(), a.products);
    if (!status.ok()) return status;
    softmax_rows(a, targets + start, count, gradient, factor, logits.data(), losses.data() + start);
    if (status = add_gradients(a, logits.data(), start, count); !status.ok()) return status;
  }
  double total = 0;
  for (int64_t row = 0; row < rows; ++row) total += static_cast<double>(losses.data()[row]);
  *a.loss.as<float>() = static_cast<float>(total / static_cast<double>(counted));
  return {};
}

}  // namespace

Status CpuBackend::cross_entropy_mean(const CrossEntropyMeanArguments& arguments) {
  return with_index_type(arguments.targets, [&](const auto* targets) {
    return cpu::cross_entropy_mean(arguments, targets);
  });
}

}  // namespace espalier::cpu
