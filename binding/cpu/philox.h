// Counter-based random words and the dropout masks made of them. Include after highway.h, inside a
// dispatched target: the vector functions live in that target's namespace.
//
// Philox4x32-10 (Salmon et al. 2011): ten rounds turn the counter (c0, c1, c2, c3) under the key
// (k0, k1) into four words,
//   (c0, c1, c2, c3) <- (hi(M1 c2) ^ c1 ^ k0, lo(M1 c2), hi(M0 c0) ^ c3 ^ k1, lo(M0 c0)),
// and the key grows by (W0, W1) between rounds. Here the counter is a 64-bit block number in (c0,
// c1) with c2 = c3 = 0, and the key the two halves of a 64-bit seed.
//
// Element i of a mask is word i mod 4 of block i / 4: any part of a mask can be made at any time,
// so none is ever stored.
#ifndef ESPALIER_CPU_PHILOX_ONCE
#define ESPALIER_CPU_PHILOX_ONCE

#include <array>
#include <cmath>
#include <cstdint>

namespace espalier::cpu {

constexpr uint32_t kPhiloxM0 = 0xD2511F53U;
constexpr uint32_t kPhiloxM1 = 0xCD9E8D57U;
constexpr uint32_t kPhiloxW0 = 0x9E3779B9U;
constexpr uint32_t kPhiloxW1 = 0xBB67AE85U;
constexpr int kPhiloxRounds = 10;

/// The four words of one counter.
inline std::array<uint32_t, 4> philox(std::array<uint32_t, 4> c, std::array<uint32_t, 2> key) {
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const uint64_t p0 = uint64_t{kPhiloxM0} * c[0];
    const uint64_t p1 = uint64_t{kPhiloxM1} * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ key[0], static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ key[1], static_cast<uint32_t>(p0)};
    key[0] += kPhiloxW0;
    key[1] += kPhiloxW1;
  }
  return c;
}

/// Which elements a dropout keeps, and the factor 1 / keep on those.
struct DropoutMask {
  uint64_t seed = 0;
  /// Largest word of a kept element.
  uint32_t limit = 0xffffffffU;
  float factor = 1.0F;

  /// A mask that drops each element with `probability` in [0, 1).
  DropoutMask(double probability, uint64_t mask_seed)
      : seed(mask_seed),
        limit(static_cast<uint32_t>(std::ceil((1 - probability) * 0x1p32) - 1)),
        factor(static_cast<float>(1 / (1 - probability))) {}

  /// Factor of element i: 0 or 1 / keep.
  [[nodiscard]] float operator[](uint64_t i) const {
    const uint64_t block = i / 4;
    const auto words = philox({static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32)},
                              {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
    return words[i % 4] <= limit ? factor : 0.0F;
  }
};

}  // namespace espalier::cpu
#endif

#if defined(ESPALIER_PHILOX_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ESPALIER_PHILOX_H_
#undef ESPALIER_PHILOX_H_
#else
#define ESPALIER_PHILOX_H_
#endif

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace espalier::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// Words of Lanes(u64) blocks from `block` on, in order: 4 Lanes(u64) words at `words`. A lane of
/// 64 bits holds one word, so that both halves of a product come from one multiplication; the upper
/// halves are arbitrary until the end.
HWY_INLINE void philox_words(uint64_t seed, uint64_t block, uint32_t* HWY_RESTRICT words) {
  const hn::ScalableTag<uint64_t> d;
  const hn::Repartition<uint32_t, decltype(d)> dw;
  const auto product = [&](auto x, auto m) {
    return hn::MulEven(hn::BitCast(dw, x), hn::BitCast(dw, m));
  };
  const auto m0 = hn::Set(d, kPhiloxM0);
  const auto m1 = hn::Set(d, kPhiloxM1);
  auto c0 = hn::Iota(d, block);
  auto c1 = hn::ShiftRight<32>(c0);
  auto c2 = hn::Zero(d);
  auto c3 = hn::Zero(d);
  auto k0 = static_cast<uint32_t>(seed);
  auto k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const auto p0 = product(c0, m0);
    const auto p1 = product(c2, m1);
    c0 = hn::Xor(hn::Xor(hn::ShiftRight<32>(p1), c1), hn::Set(d, k0));
    c2 = hn::Xor(hn::Xor(hn::ShiftRight<32>(p0), c3), hn::Set(d, k1));
    c1 = p1;
    c3 = p0;
    k0 += kPhiloxW0;
    k1 += kPhiloxW1;
  }
  const auto low = hn::Set(d, 0xffffffffU);
  const auto first = hn::OrAnd(hn::ShiftLeft<32>(c1), c0, low);
  const auto second = hn::OrAnd(hn::ShiftLeft<32>(c3), c2, low);
  hn::StoreInterleaved2(first, second, d, reinterpret_cast<uint64_t*>(words));
}

/// output[i] = x[i] · mask[start + i] for i in [0, count); x and output may be the same. A dropped
/// element is 0 whatever it was, NaN too.
HWY_INLINE void apply_dropout(const DropoutMask& mask, uint64_t start, const float* x,
                              float* output, int64_t count) {
  const hn::ScalableTag<float> d;
  const hn::RebindToUnsigned<decltype(d)> du;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto one = [&](int64_t i) {
    const float factor = mask[start + static_cast<uint64_t>(i)];
    output[i] = factor == 0 ? 0.0F : x[i] * factor;
  };
  int64_t i = 0;
  for (; i < count && (start + static_cast<uint64_t>(i)) % 4 != 0; ++i) one(i);
  HWY_ALIGN uint32_t words[2 * hn::MaxLanes(du)];
  const auto limit = hn::Set(du, mask.limit);
  const auto factor = hn::Set(d, mask.factor);
  for (; i + 2 * lanes <= count; i += 2 * lanes) {
    philox_words(mask.seed, (start + static_cast<uint64_t>(i)) / 4, words);
    for (int64_t part = 0; part < 2 * lanes; part += lanes) {
      const auto dropped = hn::RebindMask(d, hn::Gt(hn::Load(du, words + part), limit));
      const auto scaled = hn::Mul(hn::LoadU(d, x + i + part), factor);
      hn::StoreU(hn::IfThenZeroElse(dropped, scaled), d, output + i + part);
    }
  }
  for (; i < count; ++i) one(i);
}

}  // namespace espalier::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
