// q, k, v and what is shaped like them as bf16 tensor cores want them: every (batch, key head) has
// its lines one after the other, each of kColumns numbers with zeros behind its own, and zeros
// where a key is masked. Tiles read a line many times; it is rounded once.
#pragma once

#include <array>
#include <cstdint>

#include "cuda/attention_problem.h"
#include "cuda/fragments.h"
#include "cuda/launch.h"
#include "cuda/pack.h"
#include "cuda/scratch.h"

namespace espalier::cuda {

/// One array to round.
struct HeadSource {
  const float* data = nullptr;  ///< like q or like k
  bool by_key = false;          ///< like k
};

/// What round_heads_kernel() works on; blockIdx.z says which.
template <int kCount>
struct HeadRounding {
  HeadSource source[kCount];
  Bf16* target[kCount];
};

/// Rounds kCount arrays, eight numbers of a line a thread.
template <int kColumns, int kCount>
static __global__ void round_heads_kernel(AttentionProblem p,
                                          const __grid_constant__ HeadRounding<kCount> rounding) {
  constexpr int kPack = 8;
  constexpr int kPacks = kColumns / kPack;
  const HeadSource source = rounding.source[blockIdx.z];
  Bf16* const target = rounding.target[blockIdx.z];
  const int64_t lines = source.by_key ? p.keys : p.rows;
  for (unsigned index = blockIdx.y; index < p.items(); index += gridDim.y) {
    const AttentionItem item(p, index);
    for (int64_t i = global_thread(); i < lines * kPacks; i += global_threads()) {
      const int line = static_cast<int>(i / kPacks);
      const int column = static_cast<int>(i % kPacks) * kPack;
      const float* from =
          source.data + (source.by_key ? item.key_offset(line) : item.row_offset(line)) + column;
      const int left = source.by_key && !item.is_real(line) ? 0 : p.columns - column;
      float values[kPack] = {};
      if (p.packs && left >= kPack) {
#pragma unroll
        for (int e = 0; e < kPack; e += 4) {
          const auto four = load_pack<4>(from + e);
#pragma unroll
          for (int n = 0; n < 4; ++n) values[e + n] = four.value[n];
        }
      } else {
#pragma unroll
        for (int e = 0; e < kPack; ++e) {
          if (e < left) values[e] = from[e];
        }
      }
      Pack<uint32_t, kPack / 2> words;
#pragma unroll
      for (int e = 0; e < kPack; e += 2) words.value[e / 2] = bf16_pair(values[e], values[e + 1]);
      store_pack(reinterpret_cast<uint32_t*>(target + (index * lines + line) * kColumns + column),
                 words);
    }
  }
}

/// Rounded copies of kCount arrays, which live as long as this.
template <int kColumns, int kCount>
class RoundedHeads {
 public:
  /// Takes memory; prepare() fills it.
  RoundedHeads(CudaBackend& backend, const AttentionProblem& p,
               const std::array<HeadSource, kCount>& sources)
      : backend_(backend),
        p_(p),
        sources_(sources),
        memory_(backend, elements(p, sources, kCount)) {}

  /// Queues the rounding.
  Status prepare() {
    if (memory_.data() == nullptr) return out_of_scratch();
    for (int i = 0; i < kCount; ++i) {
      rounding_.source[i] = sources_[static_cast<size_t>(i)];
      rounding_.target[i] = memory_.data() + elements(p_, sources_, i);
    }
    constexpr int64_t kThreads = 256;
    dim3 blocks = blocks_for(int64_t{p_.rows < p_.keys ? p_.keys : p_.rows} * (kColumns / 8),
                             kThreads, int64_t{1} << 12);
    blocks.y = p_.items() < 65535 ? p_.items() : 65535;
    blocks.z = kCount;
    return launch(round_heads_kernel<kColumns, kCount>, {.blocks = blocks, .threads = kThreads},
                  backend_.stream(), p_, rounding_);
  }

  /// Copy `index`, once prepare() has been called: [items, rows or keys, kColumns].
  [[nodiscard]] const Bf16* operator[](int index) const { return rounding_.target[index]; }

 private:
  // Of the first `count` arrays.
  static size_t elements(const AttentionProblem& p, const std::array<HeadSource, kCount>& sources,
                         int count) {
    size_t lines = 0;
    for (int i = 0; i < count; ++i) {
      lines += static_cast<size_t>(sources[static_cast<size_t>(i)].by_key ? p.keys : p.rows);
    }
    return lines * p.items() * kColumns;
  }

  CudaBackend& backend_;
  const AttentionProblem& p_;
  std::array<HeadSource, kCount> sources_;
  Scratch<Bf16> memory_;
  HeadRounding<kCount> rounding_ = {};
};

}  // namespace espalier::cuda
