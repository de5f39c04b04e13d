// Embedding: y[i] = table[ids[i]]. ids: [M] i32 or i64; table: [V, D] f32, bf16 or f16; y: [M, D]
// f32.
#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/indices.h"
#include "binding/cpu/widen.h"

namespace espalier::cpu {

Status CpuBackend::embedding(const EmbeddingArguments& arguments) {
  const ConstView& table = arguments.table;
  Status status = check_indices("ids", arguments.ids, table.shape[0]);
  if (!status.ok()) return status;
  const int64_t count = arguments.ids.shape.elements();
  const int64_t width = table.shape[1];
  with_index_type(arguments.ids, [&](const auto* ids) {
#pragma omp parallel for schedule(static) if (count * width > 65536)
    for (int64_t i = 0; i < count; ++i) {
      widen(weight_at(table.data, table.dtype, ids[i] * width), table.dtype, width,
            arguments.output.as<float>() + i * width);
    }
  });
  return {};
}

}  // namespace espalier::cpu
