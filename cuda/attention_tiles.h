// What attention and its gradient share: the sizes of a call, which keys a query sees, and products
// of tiles in shared memory.
//
// The query heads that share a key head and their positions form the rows of one problem per
// (batch, key head), row r = (position r / G, head r % G) with G = H / Hkv. A tile holds lines of
// numbers in shared memory, each line four numbers longer than its columns so that lines start in
// different banks. Eight lanes of a warp share the rows that one of them holds: a lane has kRows
// neighbouring rows (its part is lane / 8), and of the other direction every eighth key, or every
// eighth group of columns.
#pragma once

#include <climits>
#include <cstdint>

#include "cuda/async_copy.h"
#include "cuda/cuda_backend.h"
#include "cuda/device.h"
#include "cuda/launch.h"
#include "cuda/pack.h"

namespace espalier::cuda {

/// Largest head size that there are kernels for.
constexpr int64_t kMaxHeadSize = 256;
/// Lanes that share rows.
constexpr int kLanes = 8;
/// log2(e): scores are kept as powers of two.
constexpr float kLog2E = 1.44269504F;
/// Shared memory of a block on every card from sm_80 on, and on all.
constexpr size_t kSharedBytes = size_t{99} << 10;
constexpr size_t kLeastSharedBytes = size_t{64} << 10;

/// Keys [first, end).
struct KeyRange {
  int first;  ///< first key
  int end;    ///< behind the last one
};

/// The sizes of one call.
struct AttentionProblem {
  int batches;              ///< B
  int queries;              ///< T
  int keys;                 ///< S
  int heads;                ///< H
  int key_heads;            ///< Hkv
  int columns;              ///< D
  unsigned group;           ///< query heads of a key head
  int rows;                 ///< of one (batch, key head)
  bool causal;              ///< a query sees no key behind its own
  int window;               ///< keys that a query sees at most; 0: unlimited
  const uint8_t* key_mask;  ///< or null
  const KeyRange* real;     ///< [B] from the first unmasked key to the last; null without mask
  bool packs;               ///< lines consist of aligned packs of 16 bytes

  /// Of any attention arguments with q, k, key_mask, causal and window; q is not empty.
  template <class Arguments>
  explicit AttentionProblem(const Arguments& a)
      : batches(static_cast<int>(a.q.shape[0])),
        queries(static_cast<int>(a.q.shape[1])),
        keys(static_cast<int>(a.k.shape[1])),
        heads(static_cast<int>(a.q.shape[2])),
        key_heads(static_cast<int>(a.k.shape[2])),
        columns(static_cast<int>(a.q.shape[3])),
        group(static_cast<unsigned>(heads / key_heads)),
        rows(queries * static_cast<int>(group)),
        causal(a.causal),
        window(a.window < queries + keys ? static_cast<int>(a.window) : 0),
        key_mask(a.key_mask.template as<uint8_t>()),
        real(nullptr),
        packs(false) {}

  /// Problems of one (batch, key head).
  [[nodiscard]] __host__ __device__ unsigned items() const {
    return static_cast<unsigned>(batches) * static_cast<unsigned>(key_heads);
  }
};

/// UNSUPPORTED when a call's numbers of rows or keys are more than the kernels count.
template <class Arguments>
Status check_sizes(const Arguments& a) {
  constexpr int64_t kMost = int64_t{1} << 29;
  const int64_t rows = a.q.shape[1] * a.q.shape[2] / a.k.shape[2];
  if (rows <= kMost && a.k.shape[1] <= kMost) return {};
  return {ErrorCode::unsupported,
          "attention: on a GPU expected at most 2^29 keys, and queries times query heads of a key "
          "head, got " +
              std::to_string(a.k.shape[1]) + " and " + std::to_string(rows)};
}

/// One (batch, key head) of a call: where its lines are, and what a query sees.
struct AttentionItem {
  int64_t row_base;     ///< offset of row 0 in q
  int64_t row_step;     ///< from one position to the next in q
  int64_t key_base;     ///< offset of key 0 in k
  int64_t key_step;     ///< from one key to the next in k
  const uint8_t* mask;  ///< of its keys, or null
  KeyRange real;        ///< from the first real key to the last one
  unsigned group;       ///< query heads of the key head
  int columns;          ///< D
  int shift;            ///< S - T
  bool causal;          ///< as the problem's
  int window;           ///< as the problem's

  /// Problem `item` of a call.
  __device__ AttentionItem(const AttentionProblem& p, unsigned item) {
    const int64_t batch = item / static_cast<unsigned>(p.key_heads);
    const int64_t head = item % static_cast<unsigned>(p.key_heads);
    row_step = static_cast<int64_t>(p.heads) * p.columns;
    row_base = batch * p.queries * row_step + head * p.group * p.columns;
    key_step = static_cast<int64_t>(p.key_heads) * p.columns;
    key_base = batch * p.keys * key_step + head * p.columns;
    mask = p.key_mask == nullptr ? nullptr : p.key_mask + batch * p.keys;
    real = p.real == nullptr ? KeyRange{0, p.keys} : p.real[batch];
    group = p.group;
    columns = p.columns;
    shift = p.keys - p.queries;
    causal = p.causal;
    window = p.window;
  }

  /// Offset of a key's D numbers in k and what is shaped like it.
  [[nodiscard]] __device__ int64_t key_offset(int key) const { return key_base + key * key_step; }
  /// Offset of a row's D numbers in q and what is shaped like it.
  [[nodiscard]] __device__ int64_t row_offset(int row) const {
    const unsigned position = static_cast<unsigned>(row) / group;
    const unsigned head = static_cast<unsigned>(row) - position * group;
    return row_base + position * row_step + static_cast<int64_t>(head) * columns;
  }
  /// Whether a key is real.
  [[nodiscard]] __device__ bool is_real(int key) const { return mask == nullptr || mask[key] != 0; }
  /// What a row sees of the real keys; masked ones may be among them.
  [[nodiscard]] __device__ KeyRange visible_keys(int row) const {
    const int last = static_cast<int>(static_cast<unsigned>(row) / group) + shift;
    const int end = causal ? min(max(last + 1, real.first), real.end) : real.end;
    const int first = window == 0 || window > last ? 0 : last - window + 1;
    return {min(max(first, real.first), end), end};
  }
};

/// Fills `real` with the range of unmasked keys of each batch; one block for each.
static __global__ void real_keys_kernel(const uint8_t* mask, int keys, KeyRange* real) {
  __shared__ int first;
  __shared__ int end;
  if (threadIdx.x == 0) {
    first = INT_MAX;
    end = 0;
  }
  __syncthreads();
  for (int key = static_cast<int>(threadIdx.x); key < keys; key += static_cast<int>(blockDim.x)) {
    if (mask[int64_t{blockIdx.x} * keys + key] == 0) continue;
    atomicMin(&first, key);
    atomicMax(&end, key + 1);
  }
  __syncthreads();
  if (threadIdx.x == 0) real[blockIdx.x] = {first < end ? first : end, end};
}

/// Where this thread stands in a tile of rows, `kRows` to a lane.
template <int kRows>
struct Place {
  int x = static_cast<int>(threadIdx.x) % kLanes;            ///< lane among those that share rows
  int row = static_cast<int>(threadIdx.x) / kLanes * kRows;  ///< first row of the lane
};

/// Numbers from one line of a tile to the next.
constexpr int line_stride(int columns) { return columns + 4; }

/// Begins to copy `kLines` lines of D numbers into a tile of kColumns, zeros behind them.
/// source(line) is the address of a line, or null for zeros.
template <int kLines, int kColumns, int kThreads, class Source>
__device__ inline void copy_lines(const AttentionProblem& p, float* tile, Source&& source) {
  constexpr int kPacks = kColumns / 4;
  // Copies do not wait for each other, so that unrolled loops would only be long.
#pragma unroll 1
  for (int i = static_cast<int>(threadIdx.x); i < kLines * kPacks; i += kThreads) {
    const int line = i / kPacks;
    const int c = i % kPacks * 4;
    float* target = tile + line * line_stride(kColumns) + c;
    const float* from = source(line);
    const int left = from == nullptr ? 0 : p.columns - c;
    if (p.packs && left > 0) {
      copy_async(target, from + c, 16);
    } else {
      float4 values = make_float4(0, 0, 0, 0);
      if (left > 0) values.x = from[c];
      if (left > 1) values.y = from[c + 1];
      if (left > 2) values.z = from[c + 2];
      if (left > 3) values.w = from[c + 3];
      *reinterpret_cast<float4*>(target) = values;
    }
  }
}

/// out[i][j] = Σ_c a[row + i][c] b[x + 8 j][c] over two tiles.
template <int kRows, int kKeys, int kColumns>
__device__ inline void score_tile(const Place<kRows>& place, const float* a, const float* b,
                                  float (&out)[kRows][kKeys]) {
  constexpr int kStride = line_stride(kColumns);
#pragma unroll
  for (int i = 0; i < kRows; ++i) {
#pragma unroll
    for (int j = 0; j < kKeys; ++j) out[i][j] = 0;
  }
  const float* rows = a + place.row * kStride;
  const float* keys = b + place.x * kStride;
#pragma unroll 2
  for (int c = 0; c < kColumns; c += 4) {
    Pack<float, 4> row[kRows];
    Pack<float, 4> key[kKeys];
#pragma unroll
    for (int i = 0; i < kRows; ++i) row[i] = load_pack<4>(rows + i * kStride + c);
#pragma unroll
    for (int j = 0; j < kKeys; ++j) key[j] = load_pack<4>(keys + j * kLanes * kStride + c);
#pragma unroll
    for (int e = 0; e < 4; ++e) {
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
#pragma unroll
        for (int j = 0; j < kKeys; ++j) {
          out[i][j] = fmaf(row[i].value[e], key[j].value[e], out[i][j]);
        }
      }
    }
  }
}

/// The score of a product q·k as a power of two; rounded before anything is taken from it, so that
/// the gradient gets the very scores that the sum of their exponentials was made of.
__device__ inline float binary_score(float product, float factor) {
  return __fmul_rn(product, factor);
}

/// A lane's share of kRows lines of kColumns sums: every eighth group of neighbouring columns.
template <int kRows, int kColumns>
struct Sums {
  static constexpr int kWidth = kColumns % (4 * kLanes) == 0 ? 4 : 2;  ///< columns of a group
  static constexpr int kGroups = kColumns / (kWidth * kLanes);         ///< groups of a lane
  float value[kRows][kGroups][kWidth] = {};

  /// First column of a lane's group.
  __device__ static int column(int x, int group) { return (group * kLanes + x) * kWidth; }

  /// value[i] += Σ_j weights[j][row + i] lines[j] over kLines lines; weights has line_stride(
  /// kTileRows). With kExclude, lines of weight 0 are left out, so that numbers which are not
  /// finite stay away from rows that do not see them.
  template <bool kExclude, int kLines, int kTileRows>
  __device__ void add(const Place<kRows>& place, const float* weights, const float* lines) {
#pragma unroll(kExclude ? 1 : 2)
    for (int j = 0; j < kLines; ++j) {
      const auto weight = load_pack<kRows>(weights + j * line_stride(kTileRows) + place.row);
#pragma unroll
      for (int g = 0; g < kGroups; ++g) {
        const auto line = load_pack<kWidth>(lines + j * line_stride(kColumns) + column(place.x, g));
#pragma unroll
        for (int i = 0; i < kRows; ++i) {
#pragma unroll
          for (int e = 0; e < kWidth; ++e) {
            const float number = kExclude && weight.value[i] == 0 ? 0.0F : line.value[e];
            value[i][g][e] = fmaf(weight.value[i], number, value[i][g][e]);
          }
        }
      }
    }
  }

  /// target[c] = factor value[i] for the D columns of one line.
  __device__ void store(const AttentionProblem& p, int x, int i, float factor,
                        float* target) const {
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
      const int c = column(x, g);
      Pack<float, kWidth> pack;
#pragma unroll
      for (int e = 0; e < kWidth; ++e) pack.value[e] = value[i][g][e] * factor;
      if (p.packs && c < p.columns) {
        store_pack(target + c, pack);
      } else {
#pragma unroll
        for (int e = 0; e < kWidth; ++e) {
          if (c + e < p.columns) target[c + e] = pack.value[e];
        }
      }
    }
  }
};

/// tile[x + 8 j][row + i] = weights[i][j], for Sums::add; read by the same warp after __syncwarp.
template <int kTileRows, int kRows, int kKeys>
__device__ inline void store_weights(const Place<kRows>& place,
                                     const float (&weights)[kRows][kKeys], float* tile) {
#pragma unroll
  for (int j = 0; j < kKeys; ++j) {
    Pack<float, kRows> pack;
#pragma unroll
    for (int i = 0; i < kRows; ++i) pack.value[i] = weights[i][j];
    store_pack(tile + (place.x + j * kLanes) * line_stride(kTileRows) + place.row, pack);
  }
}

/// Calls `body` with the smallest head size, as std::integral_constant, that has room for D
/// columns.
template <class Body>
Status with_head_size(const char* op, int64_t columns, Body&& body) {
  if (columns <= 16) return body(std::integral_constant<int, 16>{});
  if (columns <= 32) return body(std::integral_constant<int, 32>{});
  if (columns <= 64) return body(std::integral_constant<int, 64>{});
  if (columns <= 80) return body(std::integral_constant<int, 80>{});
  if (columns <= 96) return body(std::integral_constant<int, 96>{});
  if (columns <= 128) return body(std::integral_constant<int, 128>{});
  if (columns <= kMaxHeadSize) return body(std::integral_constant<int, 256>{});
  return {ErrorCode::unsupported, std::string(op) + ": on a GPU expected a head size of at most " +
                                      std::to_string(kMaxHeadSize) + ", got " +
                                      std::to_string(columns)};
}

/// Calls `body` with Tile<kColumns, false>, or with the small one where blocks get little shared
/// memory.
template <template <int, bool> class Tile, int kColumns, class Body>
Status with_tile(int compute_capability, Body&& body) {
  using Large = Tile<kColumns, false>;
  using Small = Tile<kColumns, true>;
  static_assert(Large::kBytes <= kSharedBytes);
  if constexpr (Large::kBytes <= kLeastSharedBytes) {
    return body(Large{});
  } else {
    static_assert(Small::kBytes <= kLeastSharedBytes);
    return compute_capability < 80 ? body(Small{}) : body(Large{});
  }
}

/// Queues what fills p.real from p.key_mask, into `real` of [B]; nothing without a mask.
inline Status find_real_keys(const CudaBackend& backend, AttentionProblem& p, KeyRange* real) {
  if (p.key_mask == nullptr) return {};
  p.real = real;
  return launch(real_keys_kernel, {.blocks = {static_cast<unsigned>(p.batches)}, .threads = 256},
                backend.stream(), p.key_mask, p.keys, real);
}

}  // namespace espalier::cuda
