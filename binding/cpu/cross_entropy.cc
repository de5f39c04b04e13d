// Cross-entropy of a classifier over rows of hidden states, a chunk of logits at a time:
// loss[n] = log Σ_v exp(z_v) - z_t with z = W h_n + b and t = targets[n]. h: [N, D] f32; W: [V, D]
// and b: [V] f32, bf16 or f16. Rows are independent, so neither the chunk nor the threads change
// their bits.
#include <algorithm>

#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/indices.h"
#include "binding/cpu/scratch.h"
#include "binding/cpu/softmax_row.h"
#include "binding/cpu/weight_product.h"

namespace espalier::cpu {
namespace {

// Rows of logits held at once when the caller does not say: 16 MiB of them. Every chunk reads the
// whole weight, so with a large vocabulary there are 512 rows, or as many as 64 MiB hold.
int64_t default_chunk(int64_t row_bytes) {
  constexpr int64_t mebibyte = int64_t{1} << 20;
  return std::max(16 * mebibyte / row_bytes, std::min(int64_t{512}, 64 * mebibyte / row_bytes));
}

template <class Target>
Status cross_entropy(const CrossEntropyArguments& a, const Target* targets) {
  const int64_t rows = a.hidden.shape[0];
  const int64_t width = a.hidden.shape[1];
  const int64_t vocabulary = a.weight.shape[0];
  int64_t counted = 0;
  if (Status status = check_targets("targets", a.targets, vocabulary, a.ignore_index, &counted);
      !status.ok()) {
    return status;
  }
  const int64_t row_bytes = std::max<int64_t>(1, vocabulary) * int64_t{sizeof(float)};
  const int64_t wanted = a.chunk > 0 ? a.chunk : default_chunk(row_bytes);
  const int64_t chunk = std::min(rows, std::max<int64_t>(1, wanted));
  const Scratch<float> logits(static_cast<size_t>(chunk * vocabulary));
  if (logits.data() == nullptr) return out_of_scratch();
  for (int64_t start = 0; start < rows; start += chunk) {
    const int64_t count = std::min(chunk, rows - start);
    Status status = weight_product(a.hidden.as<float>() + start * width, count, a.weight, a.bias,
                                   logits.data(), a.products);
    if (!status.ok()) return status;
#pragma omp parallel for schedule(static) if (count * vocabulary > 16384)
    for (int64_t row = 0; row < count; ++row) {
      const auto target = static_cast<int64_t>(targets[start + row]);
      float loss = 0;
      if (target != a.ignore_index) {
        loss = softmax_loss(logits.data() + row * vocabulary, vocabulary, target);
      }
      a.output.as<float>()[start + row] = loss;
    }
  }
  return {};
}

}  // namespace

Status CpuBackend::cross_entropy(const CrossEntropyArguments& arguments) {
  return with_index_type(arguments.targets, [&](const auto* targets) {
    return cpu::cross_entropy(arguments, targets);
  });
}

}  // namespace espalier::cpu
