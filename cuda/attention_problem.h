// What attention and its gradient share in every precision: the sizes of a call, which keys a query
// sees, and what is known of a row of scores while its keys pass by.
//
// The query heads that share a key head and their positions form the rows of one problem per
// (batch, key head), row r = (position r / G, head r % G) with G = H / Hkv.
#pragma once

#include <climits>
#include <cstdint>
#include <string>
#include <type_traits>

#include "cuda/cuda_backend.h"
#include "cuda/device.h"
#include "cuda/launch.h"

namespace espalier::cuda {

/// Largest head size that there are kernels for.
constexpr int64_t kMaxHeadSize = 256;
/// log2(e): scores are kept as powers of two.
constexpr float kLog2E = 1.44269504F;
/// Shared memory of a block on every card from sm_80 on.
constexpr size_t kSharedBytes = size_t{99} << 10;

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

/// The score of a product q·k as a power of two; rounded before anything is taken from it, so that
/// the gradient gets the very scores that the sum of their exponentials was made of.
__device__ inline float binary_score(float product, float factor) {
  return __fmul_rn(product, factor);
}

/// 2^x to 22 bits in one instruction, where factors of eight bits follow.
__device__ inline float rough_exp2(float x) {
#ifdef __CUDA_ARCH__
  float power;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(x));
  return power;
#else
  return exp2f(x);
#endif
}

/// The largest score of a row so far, and the sum of the powers of two of all relative to it.
struct RowSoftmax {
  float maximum = -INFINITY;  ///< -infinity while nothing has been seen
  float sum = 0;              ///< Σ 2^(score - base())

  /// What scores are relative to: -infinity minus itself would be NaN.
  [[nodiscard]] __device__ float base() const { return maximum == -INFINITY ? 0.0F : maximum; }
  /// Takes a maximum that is not below the old one; returns the factor on what was summed before.
  __device__ float raise(float highest) {
    const float old = maximum;
    maximum = highest;
    const float decay = exp2f(old - base());
    sum *= decay;
    return decay;
  }
  /// 1 / sum; 0 where nothing was seen.
  [[nodiscard]] __device__ float inverse() const { return sum == 0 ? 0.0F : 1.0F / sum; }
  /// log2 Σ 2^score.
  [[nodiscard]] __device__ float log_sum_exp() const { return maximum + log2f(sum); }
};

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

/// Queues what fills p.real from p.key_mask, into `real` of [B]; nothing without a mask.
inline Status find_real_keys(const CudaBackend& backend, AttentionProblem& p, KeyRange* real) {
  if (p.key_mask == nullptr) return {};
  p.real = real;
  return launch(real_keys_kernel, {.blocks = {static_cast<unsigned>(p.batches)}, .threads = 256},
                backend.stream(), p.key_mask, p.keys, real);
}

}  // namespace espalier::cuda
