// Gradient of an embedding: dT[v] = Σ dy[i] over the i with ids[i] = v. dy: [M, D] f32; dT: [V, D]
// f32. Threads share the columns, so sums run in the order of i whatever their number.
#include <omp.h>

#include <algorithm>

#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/indices.h"

namespace espalier::cpu {
namespace {

template <class Id>
void add_columns(const EmbeddingBackwardArguments& a, const Id* ids, int64_t start, int64_t end) {
  const int64_t width = a.output.shape[1];
  const int64_t count = a.ids.shape.elements();
  for (int64_t i = 0; i < count; ++i) {
    const auto id = static_cast<int64_t>(ids[i]);
    if (id == a.padding_index) continue;
    const float* source = a.gradient.as<float>() + i * width;
    float* target = a.output.as<float>() + id * width;
#pragma omp simd
    for (int64_t column = start; column < end; ++column) target[column] += source[column];
  }
}

}  // namespace

Status CpuBackend::embedding_backward(const EmbeddingBackwardArguments& arguments) {
  const EmbeddingBackwardArguments& a = arguments;
  if (Status status = check_indices("ids", a.ids, a.output.shape[0]); !status.ok()) return status;
  if (Status status = clear(a.output); !status.ok()) return status;
  // A cache line of columns at least.
  constexpr int64_t kBlock = 16;
  const int64_t width = a.output.shape[1];
  const int64_t blocks = (width + kBlock - 1) / kBlock;
  with_index_type(a.ids, [&](const auto* ids) {
#pragma omp parallel if (a.gradient.shape.elements() > 65536)
    {
      const int64_t threads = omp_get_num_threads();
      const int64_t thread = omp_get_thread_num();
      add_columns(a, ids, std::min(width, blocks * thread / threads * kBlock),
                  std::min(width, blocks * (thread + 1) / threads * kBlock));
    }
  });
  return {};
}

}  // namespace espalier::cpu
