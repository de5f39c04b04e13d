// From a sequence to one vector: the mean of the tokens under a mask, or one token; and back.
// x: [B, T, D] f32; mask: [B, T] u8; index: [B] i32 or i64; y: [B, D] f32. Sums are f32, in the
// order of the tokens. Bound by memory: every element is read or written once.
#include <algorithm>

#include "cuda/cuda_backend.h"
#include "cuda/indices.h"
#include "cuda/pack.h"
#include "cuda/rows.h"
#include "cuda/scratch.h"

namespace espalier::cuda {
namespace {

constexpr int kThreads = 128;
// Tokens that are loaded before the first of them is added.
constexpr int kAhead = 8;

// shares[b] = 1 / (number of tokens under the mask), 0 without any. One block a sequence.
__global__ void mask_shares(const uint8_t* mask, int64_t batch, int64_t tokens, float* shares) {
  __shared__ int64_t scratch[32];
  for (int64_t b = blockIdx.x; b < batch; b += gridDim.x) {
    int64_t ones = 0;
    for (int64_t t = threadIdx.x; t < tokens; t += blockDim.x) ones += mask[b * tokens + t] != 0;
    ones = block_sum(ones, scratch);
    if (threadIdx.x == 0) {
      shares[b] = ones == 0 ? 0.0F : static_cast<float>(1.0 / static_cast<double>(ones));
    }
  }
}

// A thread adds up one pack of columns.
template <int kPack>
__global__ void mean_tokens(const float* x, const uint8_t* mask, const float* shares, int64_t batch,
                            int64_t tokens, int64_t width, float* y) {
  for_row_elements(batch, width / kPack, [&](int64_t b, int64_t pack) {
    const uint8_t* seen = mask + b * tokens;
    const float* column = x + b * tokens * width + pack * kPack;
    Pack<float, kPack> sum{};
    for (int64_t start = 0; start < tokens; start += kAhead) {
      Pack<float, kPack> values[kAhead];
      bool counts[kAhead];
#pragma unroll
      for (int i = 0; i < kAhead; ++i) {
        const int64_t t = start + i < tokens ? start + i : tokens - 1;
        counts[i] = start + i == t && seen[t] != 0;
        values[i] = load_pack<kPack>(column + t * width);
      }
#pragma unroll
      for (int i = 0; i < kAhead; ++i) {
        // Chosen rather than branched over, or the loads would move behind the branches.
        for (int j = 0; j < kPack; ++j) {
          const float next = sum.value[j] + values[i].value[j];
          sum.value[j] = counts[i] ? next : sum.value[j];
        }
      }
    }
    for (int i = 0; i < kPack; ++i) sum.value[i] *= shares[b];
    store_pack(y + b * width + pack * kPack, sum);
  });
}

// Rows of the grid are tokens; blockIdx.z goes over the sequences.
template <int kPack>
__global__ void spread_mean(const float* dy, const uint8_t* mask, const float* shares,
                            int64_t batch, int64_t tokens, int64_t width, float* dx) {
  for (int64_t b = blockIdx.z; b < batch; b += gridDim.z) {
    const float share = shares[b];
    for_row_elements(tokens, width / kPack, [&](int64_t t, int64_t pack) {
      Pack<float, kPack> values{};
      if (mask[b * tokens + t] != 0) {
        values = load_pack<kPack>(dy + b * width + pack * kPack);
        for (int i = 0; i < kPack; ++i) values.value[i] *= share;
      }
      store_pack(dx + (b * tokens + t) * width + pack * kPack, values);
    });
  }
}

// y[b] = x[b, index[b]], or the other way round.
template <int kPack, bool kScatter, class Index>
__global__ void move_tokens(const Index* index, const float* source, int64_t batch, int64_t tokens,
                            int64_t width, float* target) {
  for_row_elements(batch, width / kPack, [&](int64_t b, int64_t pack) {
    const int64_t one = b * width + pack * kPack;
    const int64_t many = (b * tokens + static_cast<int64_t>(index[b])) * width + pack * kPack;
    store_pack(target + (kScatter ? many : one),
               load_pack<kPack>(source + (kScatter ? one : many)));
  });
}

Status find_shares(CudaBackend& backend, const ConstView& mask, float* shares) {
  const int64_t batch = mask.shape[0];
  return launch(mask_shares, {.blocks = blocks_for(batch, 1), .threads = kThreads},
                backend.stream(), mask.as<uint8_t>(), batch, mask.shape[1], shares);
}

template <bool kScatter>
Status select(CudaBackend& backend, const ConstView& index, const float* source, int64_t tokens,
              int64_t width, float* target) {
  const int64_t batch = index.shape.elements();
  return with_index_type(index, [&](const auto* values) {
    using Index = std::remove_cvref_t<decltype(*values)>;
    if (in_packs<4>(width, source) && in_packs<4>(width, target)) {
      return launch(move_tokens<4, kScatter, Index>, row_grid(batch, width / 4), backend.stream(),
                    values, source, batch, tokens, width, target);
    }
    return launch(move_tokens<1, kScatter, Index>, row_grid(batch, width), backend.stream(), values,
                  source, batch, tokens, width, target);
  });
}

}  // namespace

Status CudaBackend::mean_pool(const MeanPoolArguments& a) {
  const int64_t batch = a.x.shape[0];
  const int64_t tokens = a.x.shape[1];
  const int64_t width = a.x.shape[2];
  const Scratch<float> shares(*this, static_cast<size_t>(batch));
  if (shares.data() == nullptr) return out_of_scratch();
  if (Status status = find_shares(*this, a.mask, shares.data()); !status.ok()) return status;
  const auto* x = a.x.as<float>();
  auto* y = a.output.as<float>();
  const bool packs = in_packs<4>(width, x) && in_packs<4>(width, y);
  return launch(packs ? mean_tokens<4> : mean_tokens<1>, row_grid(batch, packs ? width / 4 : width),
                stream(), x, a.mask.as<uint8_t>(), shares.data(), batch, tokens, width, y);
}

Status CudaBackend::mean_pool_backward(const MeanPoolBackwardArguments& a) {
  const int64_t batch = a.output.shape[0];
  const int64_t tokens = a.output.shape[1];
  const int64_t width = a.output.shape[2];
  const Scratch<float> shares(*this, static_cast<size_t>(batch));
  if (shares.data() == nullptr) return out_of_scratch();
  if (Status status = find_shares(*this, a.mask, shares.data()); !status.ok()) return status;
  const auto* dy = a.gradient.as<float>();
  auto* dx = a.output.as<float>();
  const bool packs = in_packs<4>(width, dx) && in_packs<4>(width, dy);
  Grid grid = row_grid(tokens, packs ? width / 4 : width);
  grid.blocks.z = static_cast<unsigned>(std::min<int64_t>(batch, 65535));
  return launch(packs ? spread_mean<4> : spread_mean<1>, grid, stream(), dy, a.mask.as<uint8_t>(),
                shares.data(), batch, tokens, width, dx);
}

Status CudaBackend::select_token(const SelectTokenArguments& a) {
  const int64_t tokens = a.x.shape[1];
  if (Status status = check_indices(*this, "index", a.index, tokens); !status.ok()) return status;
  return select<false>(*this, a.index, a.x.as<float>(), tokens, a.x.shape[2], a.output.as<float>());
}

Status CudaBackend::select_token_backward(const SelectTokenBackwardArguments& a) {
  const int64_t tokens = a.output.shape[1];
  if (Status status = check_indices(*this, "index", a.index, tokens); !status.ok()) return status;
  if (Status status = clear(a.output); !status.ok()) return status;
  return select<true>(*this, a.index, a.gradient.as<float>(), tokens, a.output.shape[2],
                      a.output.as<float>());
}

}  // namespace espalier::cuda
