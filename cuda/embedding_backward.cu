// Gradient of an embedding: dT[v] = Σ dy[i] over the i with ids[i] = v. dy: [M, D] f32; dT: [V, D]
// f32. Positions are sorted by id, stably; then the threads at the first position of each id add
// its rows in the order of i and write the sum, so no two threads share an element. Ids that do not
// occur get zeros. Bound by memory: dy is read once, dT written once, beside its clearing.
#include "cuda/cuda_backend.h"
#include "cuda/indices.h"
#include "cuda/pack.h"
#include "cuda/rows.h"
#include "cuda/scratch.h"
#include "cuda/sort.h"

namespace espalier::cuda {
namespace {

// Rows that are loaded before the first of them is added: ids like padding occur thousands of
// times.
constexpr int kAhead = 8;

template <int kPack>
__global__ void add_rows(const float* dy, SortedIndices sorted, int64_t count, int64_t width,
                         int64_t padding, float* output) {
  for_row_elements(count, width / kPack, [&](int64_t first, int64_t pack) {
    const uint32_t id = sorted.keys[first];
    if (static_cast<int64_t>(id) == padding) return;
    if (first > 0 && sorted.keys[first - 1] == id) return;
    const float* column = dy + pack * kPack;
    Pack<float, kPack> sum{};
    int64_t i = first;
    // Keys ascend: when the last of a group is this id, all are.
    for (; i + kAhead <= count && sorted.keys[i + kAhead - 1] == id; i += kAhead) {
      Pack<float, kPack> rows[kAhead];
#pragma unroll
      for (int j = 0; j < kAhead; ++j) {
        rows[j] = load_pack<kPack>(column + sorted.positions[i + j] * width);
      }
#pragma unroll
      for (int j = 0; j < kAhead; ++j) {
        for (int k = 0; k < kPack; ++k) sum.value[k] += rows[j].value[k];
      }
    }
    for (; i < count && sorted.keys[i] == id; ++i) {
      const auto row = load_pack<kPack>(column + sorted.positions[i] * width);
      for (int k = 0; k < kPack; ++k) sum.value[k] += row.value[k];
    }
    store_pack(output + static_cast<int64_t>(id) * width + pack * kPack, sum);
  });
}

}  // namespace

Status CudaBackend::embedding_backward(const EmbeddingBackwardArguments& a) {
  const int64_t vocabulary = a.output.shape[0];
  const int64_t width = a.output.shape[1];
  const int64_t count = a.ids.shape.elements();
  if (Status status = check_indices(*this, "ids", a.ids, vocabulary); !status.ok()) return status;
  if (Status status = clear(a.output); !status.ok() || count == 0) return status;
  const Scratch<uint32_t> numbers(*this, static_cast<size_t>(4 * count));
  if (numbers.data() == nullptr) return out_of_scratch();
  uint32_t* data = numbers.data();
  const SortedIndices one{data, data + count};
  const SortedIndices other{data + 2 * count, data + 3 * count};
  const SortedIndices* sorted = nullptr;
  Status status = sort_indices(*this, a.ids, vocabulary, one, other, &sorted);
  if (!status.ok()) return status;
  const auto* dy = a.gradient.as<float>();
  auto* output = a.output.as<float>();
  const bool packs = in_packs<4>(width, dy) && in_packs<4>(width, output);
  return launch(packs ? add_rows<4> : add_rows<1>, row_grid(count, packs ? width / 4 : width),
                stream(), dy, *sorted, count, width, a.padding_index, output);
}

}  // namespace espalier::cuda
