// What the gradients of attention share in every precision.
#pragma once

#include <cstdint>

#include "cuda/attention_problem.h"
#include "cuda/pack.h"

namespace espalier::cuda {

/// What the probabilities of a query need.
struct alignas(16) Query {
  float base;      ///< L log2(e); infinity where no key is seen
  float delta;     ///< δ
  KeyRange range;  ///< keys that it sees
};

/// The arrays of a call.
struct BackwardArrays {
  const float *q, *k, *v, *gradient, *log_sum_exp, *delta;
  float *dq, *dk, *dv;

  /// Whether lines of `columns` consist of packs of 16 bytes in all of them.
  [[nodiscard]] bool in_packs_of(int64_t columns) const {
    const auto packs = [columns](const auto* data) { return in_packs<4>(columns, data); };
    return packs(q) && packs(k) && packs(v) && packs(gradient) && packs(dq) && packs(dk) &&
           packs(dv);
  }
};

/// Lines [first, end) of the passing side that a fixed tile of lines [row0, last] meets.
struct Passing {
  int first, end;
};

/// What passes by queries [row0, last], or with kByKey by keys; `rows` are those of the item.
template <bool kByKey>
__device__ inline Passing passing_lines(const AttentionItem& item, int rows, int row0, int last) {
  if constexpr (!kByKey) {
    return {item.visible_keys(row0).first, item.visible_keys(last).end};
  } else {
    // Query t sees key j when t + S - T >= j, if causal, and t + S - T < j + window, if there is
    // one.
    const int low = max(row0, item.real.first);
    const int high = min(last, item.real.end - 1);
    if (low > high) return {0, 0};
    const auto group = static_cast<int>(item.group);
    const int queries = rows / group;
    const int first = item.causal ? max(low - item.shift, 0) : 0;
    const int end = item.window > 0 ? min(high - item.shift + item.window, queries) : queries;
    return {first * group, end * group};
  }
}

}  // namespace espalier::cuda
