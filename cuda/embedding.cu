// Embedding: y[i] = table[ids[i]]. ids: [M] i32 or i64; table: [V, D] f32, bf16 or f16; y: [M, D]
// f32, exact. Bound by memory: a row is read and written once, four elements a thread.
#include "cuda/cuda_backend.h"
#include "cuda/indices.h"
#include "cuda/pack.h"
#include "cuda/rows.h"

namespace espalier::cuda {
namespace {

template <int kPack, class Id, class W>
__global__ void copy_rows(const Id* ids, const W* table, int64_t count, int64_t width, float* y) {
  for_row_elements(count, width / kPack, [&](int64_t i, int64_t pack) {
    const W* source = table + static_cast<int64_t>(ids[i]) * width + pack * kPack;
    store_pack(y + i * width + pack * kPack, convert_pack<float>(load_pack<kPack>(source)));
  });
}

}  // namespace

Status CudaBackend::embedding(const EmbeddingArguments& a) {
  if (Status status = check_indices(*this, "ids", a.ids, a.table.shape[0]); !status.ok()) {
    return status;
  }
  const int64_t count = a.ids.shape.elements();
  const int64_t width = a.table.shape[1];
  auto* y = a.output.as<float>();
  return with_index_type(a.ids, [&](const auto* ids) {
    return with_weight_type(a.table.dtype, [&](auto weight) {
      using Id = std::remove_cvref_t<decltype(*ids)>;
      using W = decltype(weight);
      const auto* table = a.table.as<W>();
      if (in_packs<4>(width, table) && in_packs<4>(width, y)) {
        return launch(copy_rows<4, Id, W>, row_grid(count, width / 4), stream(), ids, table, count,
                      width, y);
      }
      return launch(copy_rows<1, Id, W>, row_grid(count, width), stream(), ids, table, count, width,
                    y);
    });
  });
}

}  // namespace espalier::cuda
