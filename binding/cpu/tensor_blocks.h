// Many tensors of any sizes as one list of pieces that threads share evenly.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace espalier::cpu {

/// Elements [start, end) of the tensor at `tensor` in some list.
struct TensorBlock {
  size_t tensor;
  int64_t start;
  int64_t end;
};

/// The pieces of `tensors` (each with `elements(tensor)` elements), in order; their sizes do not
/// depend on the number of threads.
template <class T, class Elements>
std::vector<TensorBlock> tensor_blocks(const std::vector<T>& tensors, Elements&& elements) {
  constexpr int64_t kBlock = 16384;
  std::vector<TensorBlock> blocks;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const int64_t count = elements(tensors[i]);
    for (int64_t start = 0; start < count; start += kBlock) {
      blocks.push_back({i, start, std::min(count, start + kBlock)});
    }
  }
  return blocks;
}

/// Whether there is enough work for more than one thread.
inline bool worth_threads(const std::vector<TensorBlock>& blocks) {
  int64_t total = 0;
  for (const TensorBlock& block : blocks) total += block.end - block.start;
  return total > 65536;
}

}  // namespace espalier::cpu
