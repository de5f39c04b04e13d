#include "hwy/highway.h"
//
#include <doctest/doctest.h>

#include "binding/cpu/philox.h"

namespace espalier::test {
namespace {

using Words = std::array<uint32_t, 4>;

// Known answers of the Random123 distribution.
TEST_CASE("philox gives the published words") {
  CHECK(cpu::philox({0, 0, 0, 0}, {0, 0}) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(cpu::philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}) ==
        Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(cpu::philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("vectors of philox words are those of the single blocks") {
  constexpr uint64_t kSeed = 0x0123456789abcdefU;
  namespace vector = cpu::HWY_NAMESPACE;
  const hwy::HWY_NAMESPACE::ScalableTag<uint64_t> d;
  const auto lanes = static_cast<uint64_t>(hwy::HWY_NAMESPACE::Lanes(d));
  for (const uint64_t block : {uint64_t{0}, uint64_t{0xfffffffe}, uint64_t{1} << 40}) {
    std::vector<uint32_t> words(4 * lanes);
    vector::philox_words(kSeed, block, words.data());
    for (uint64_t n = 0; n < lanes; ++n) {
      const uint64_t at = block + n;
      const Words expected =
          cpu::philox({static_cast<uint32_t>(at), static_cast<uint32_t>(at >> 32), 0, 0},
                      {static_cast<uint32_t>(kSeed), static_cast<uint32_t>(kSeed >> 32)});
      for (size_t w = 0; w < 4; ++w) CHECK(words[4 * n + w] == expected[w]);
    }
  }
}

}  // namespace
}  // namespace espalier::test
