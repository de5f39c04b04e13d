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
    for (int64_t start = first; start < count && sorted.keys[start] == id; start += kAhead) {
      Pack<float, kPack> rows[kAhead];
      bool same[kAhead];
#pragma unroll
      for (int i = 0; i < kAhead; ++i) {
        same[i] = start + i < count && sorted.keys[start + i] == id;
        const int64_t row = sorted.positions[same[i] ? start + i : first];
        rows[i] = load_pack<kPack>(column + row * width);
      }
#pragma unroll
      for (int i = 0; i < kAhead; ++i) {
        for (int j = 0; j < kPack; ++j) {
          if (same[i]) sum.value[j] += rows[i].value[j];
        }
      }
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
