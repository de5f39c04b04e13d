// Matrices of bf16 in the tiles of AMX: packing them, multiplying them, storing the sums.
//
// A tile of A holds 16 rows by 32 of k, one of B 32 of k by 16 columns, as 16 rows of pairs of k.
// Two by two of each make a panel's step: 32 rows by 32 columns of C in four tiles of sums, for
// four loads and four products. Operands are packed into panels of 32 rows or columns, zeros at the
// edges, in chunks of k: [chunk][panel][step][two tiles]. A chunk of a panel of B stays in the
// first cache while panels of A pass by it; blocks of 12 by 12 panels, with their sums, stay in the
// second, where the next chunk is fetched to while one is multiplied.
#pragma once

#if defined(__x86_64__)

// GCC 12's intrinsics start from vectors that they leave undefined on purpose.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#define ESPALIER_AMX \
  __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16,amx-tile,amx-bf16")))

namespace espalier::cpu::amx {

/// Rows of a tile.
constexpr int64_t kTile = 16;
/// Rows or columns of a panel.
constexpr int64_t kPanel = 2 * kTile;
/// Of k in a tile.
constexpr int64_t kStep = 32;
/// Of a tile.
constexpr int64_t kTileElements = kTile * kStep;
/// Of a panel in a step.
constexpr int64_t kStepElements = 2 * kTileElements;
/// Most steps of a chunk.
constexpr int64_t kChunkSteps = 16;
/// Most panels of a block, in each direction.
constexpr int64_t kBlockPanels = 12;
/// Sums of two panels.
constexpr int64_t kSums = kPanel * kPanel;
/// Bytes of a line of the caches.
constexpr int64_t kLine = 64;
/// Lines of the next chunk that are fetched in a step. 144 pairs of panels fetch 18 of the next 24
/// panels of 32 KB; fetching all of them was slower.
constexpr int64_t kFetchedLines = 4;

/// Of k, between what is packed and what is fetched.
constexpr int64_t kStepsAhead = 4;

/// a / b, rounded up.
inline int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Eight tiles of 16 rows of 64 bytes.
struct alignas(64) TileConfiguration {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  std::array<uint8_t, 14> reserved{};
  std::array<uint16_t, 16> row_bytes{64, 64, 64, 64, 64, 64, 64, 64};
  std::array<uint8_t, 16> rows{kTile, kTile, kTile, kTile, kTile, kTile, kTile, kTile};
};

/// Tiles for the calling thread until _tile_release().
ESPALIER_AMX inline void begin_tiles() {
  static constexpr TileConfiguration kConfiguration;
  _tile_loadconfig(&kConfiguration);
}

/// How k is cut; `chunk_elements` are those of a packed panel in a chunk.
struct Depth {
  int64_t steps;
  int64_t chunks;
  int64_t chunk_elements;

  explicit Depth(int64_t k)
      : steps(ceil_divide(k, kStep)),
        chunks(ceil_divide(steps, kChunkSteps)),
        chunk_elements(std::min(steps, kChunkSteps) * kStepElements) {}
  /// Of a chunk; the last one may have fewer.
  [[nodiscard]] int64_t steps_of(int64_t chunk) const {
    return std::min(kChunkSteps, steps - chunk * kChunkSteps);
  }
  /// Of a packed panel in all chunks.
  [[nodiscard]] int64_t panel_elements() const { return chunks * chunk_elements; }
};

/// A or B as it lies in memory. `along_k`: neighbours differ in k; `extent`: rows of A, columns of
/// B.
struct Operand {
  const uint16_t* data;
  int64_t ld;
  bool along_k;
  int64_t extent;
  int64_t k;

  /// Where row or column i starts at k_index.
  [[nodiscard]] const uint16_t* at(int64_t i, int64_t k_index) const {
    return along_k ? data + i * ld + k_index : data + k_index * ld + i;
  }
  /// Panels of all rows or columns.
  [[nodiscard]] int64_t panels() const { return ceil_divide(extent, kPanel); }
};

/// On which side of a product an operand stands.
enum class Side { left, right };

/// What fills a tile.
struct Vectors {
  __m512i rows[16];
  __m512i& operator[](size_t i) { return rows[i]; }
};

/// Sixteen vectors of sixteen 32-bit elements become their transpose.
ESPALIER_AMX inline void transpose(Vectors& v) {
  Vectors t;
  for (size_t i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
  }
  Vectors u;
  for (size_t i = 0; i < 16; i += 4) {
    u[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    u[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    u[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    u[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (size_t j = 0; j < 4; ++j) {
    const __m512i even_low = _mm512_shuffle_i32x4(u[j], u[4 + j], 0x88);
    const __m512i even_high = _mm512_shuffle_i32x4(u[8 + j], u[12 + j], 0x88);
    const __m512i odd_low = _mm512_shuffle_i32x4(u[j], u[4 + j], 0xdd);
    const __m512i odd_high = _mm512_shuffle_i32x4(u[8 + j], u[12 + j], 0xdd);
    v[j] = _mm512_shuffle_i32x4(even_low, even_high, 0x88);
    v[4 + j] = _mm512_shuffle_i32x4(odd_low, odd_high, 0x88);
    v[8 + j] = _mm512_shuffle_i32x4(even_low, even_high, 0xdd);
    v[12 + j] = _mm512_shuffle_i32x4(odd_low, odd_high, 0xdd);
  }
}

/// Vector i: 32 of k of row i, from (first, k) on. Rows are fetched some steps ahead: there are
/// more of them at a time than the processor follows by itself.
ESPALIER_AMX inline void load_rows(const Operand& o, int64_t first, int64_t k, Vectors& v) {
  const int64_t rows = std::min(kTile, o.extent - first);
  const int64_t columns = std::min(kStep, o.k - k);
  const auto mask = static_cast<__mmask32>((uint64_t{1} << columns) - 1);
  for (int64_t i = 0; i < kTile; ++i) {
    __m512i& line = v[static_cast<size_t>(i)];
    line = _mm512_setzero_si512();
    if (i >= rows) continue;
    const uint16_t* source = o.at(first + i, k);
    _mm_prefetch(source + kStepsAhead * kStep, _MM_HINT_T0);
    line = _mm512_maskz_loadu_epi16(mask, source);
  }
}

/// Vector i: k + 2 i and k + 2 i + 1 of 16 columns, in pairs.
ESPALIER_AMX inline void load_pairs(const Operand& o, int64_t first, int64_t k, Vectors& v) {
  const int64_t columns = std::clamp<int64_t>(o.extent - first, 0, kTile);
  const auto mask = static_cast<__mmask16>((uint32_t{1} << columns) - 1);
  const auto load = [&](int64_t row) ESPALIER_AMX {
    return row < o.k ? _mm256_maskz_loadu_epi16(mask, o.at(first, row)) : _mm256_setzero_si256();
  };
  for (size_t i = 0; i < 16; ++i) {
    const int64_t row = k + 2 * static_cast<int64_t>(i);
    const __m512i low = _mm512_cvtepu16_epi32(load(row));
    const __m512i high = _mm512_slli_epi32(_mm512_cvtepu16_epi32(load(row + 1)), 16);
    v[i] = _mm512_or_si512(low, high);
  }
}

/// One chunk of one panel. Left, rows of a tile are rows of A; right, they are pairs of k.
ESPALIER_AMX inline void pack(const Operand& o, Side side, int64_t panel, int64_t chunk,
                              uint16_t* target) {
  const int64_t steps = Depth(o.k).steps_of(chunk);
  Vectors v;
  for (int64_t tile = 0; tile < 2 * steps; ++tile) {
    const int64_t k = (chunk * kChunkSteps + tile / 2) * kStep;
    const int64_t first = panel * kPanel + tile % 2 * kTile;
    if (o.along_k) {
      load_rows(o, first, k, v);
    } else {
      load_pairs(o, first, k, v);
    }
    if (o.along_k == (side == Side::right)) transpose(v);
    uint16_t* rows = target + tile * kTileElements;
    for (size_t i = 0; i < 16; ++i) _mm512_store_si512(rows + 32 * i, v[i]);
  }
}

/// As pack() on the left, of `rows` rows of f32 from x on, rounded.
ESPALIER_AMX inline void pack_rounded(const float* x, int64_t ld, int64_t rows, int64_t k,
                                      int64_t chunk, uint16_t* target) {
  const int64_t begin = chunk * kChunkSteps * kStep;
  const int64_t steps = Depth(k).steps_of(chunk);
  for (int64_t row = 0; row < kPanel; ++row) {
    const float* source = x + row * ld + begin;
    uint16_t* line = target + row / kTile * kTileElements + row % kTile * kStep;
    for (int64_t step = 0; step < steps; ++step) {
      const int64_t left = row < rows ? std::min(kStep, k - begin - step * kStep) : 0;
      const auto mask = static_cast<uint32_t>((uint64_t{1} << left) - 1);
      const __m512 low = _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask), source + step * kStep);
      const __m512 high =
          _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask >> 16U), source + step * kStep + 16);
      const __m512bh rounded = _mm512_cvtne2ps_pbh(high, low);
      _mm512_store_si512(line + step * kStepElements, (__m512i)rounded);
    }
  }
}

/// Where four tiles of sums lie, two above and two below, in elements: `stride` between rows of a
/// tile, `right` and `below` to the next tile.
struct SumTiles {
  float* first;
  int64_t stride;
  int64_t right;
  int64_t below;

  /// One after the other.
  static SumTiles packed(float* sums) {
    return {.first = sums, .stride = kTile, .right = kTile * kTile, .below = 2 * kTile * kTile};
  }
  /// In rows of a matrix.
  static SumTiles inside(float* c, int64_t ldc) {
    return {.first = c, .stride = ldc, .right = kTile, .below = kTile * ldc};
  }
};

/// sums (+)= a bᵀ of two panels over some steps; a and the sums come from the second cache and are
/// not to push b out of the first.
ESPALIER_AMX inline void multiply_panels(const uint16_t* a, const uint16_t* b, int64_t steps,
                                         const std::byte* upcoming, bool first,
                                         const SumTiles& sums) {
  constexpr int kStride = 64;
  const auto sum_stride = static_cast<int64_t>(sizeof(float)) * sums.stride;
  float* above = sums.first;
  float* below = above + sums.below;
  if (first) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  } else {
    _tile_stream_loadd(0, above, sum_stride);
    _tile_stream_loadd(1, above + sums.right, sum_stride);
    _tile_stream_loadd(2, below, sum_stride);
    _tile_stream_loadd(3, below + sums.right, sum_stride);
  }
  for (int64_t step = 0; step < steps; ++step) {
    _tile_stream_loadd(4, a, kStride);
    _tile_loadd(6, b, kStride);
    _tile_loadd(7, b + kTileElements, kStride);
    _tile_stream_loadd(5, a + kTileElements, kStride);
    for (int64_t line = 0; line < kFetchedLines; ++line) {
      _mm_prefetch(upcoming + line * kLine, _MM_HINT_T1);
    }
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
    a += kStepElements;
    b += kStepElements;
    upcoming += kFetchedLines * kLine;
  }
  _tile_stored(0, above, sum_stride);
  _tile_stored(1, above + sums.right, sum_stride);
  _tile_stored(2, below, sum_stride);
  _tile_stored(3, below + sums.right, sum_stride);
}

/// Panels [begin, end) of `panels` that were packed together.
struct Packed {
  const uint16_t* data;
  int64_t panels;
  int64_t begin;
  int64_t end;

  /// Panels of the range.
  [[nodiscard]] int64_t count() const { return end - begin; }
};

/// sums [rows' panel][columns' panel][four tiles] of a block.
ESPALIER_AMX inline void multiply_block(const Packed& a, const Packed& b, const Depth& depth,
                                        float* sums) {
  const auto at = [&](const Packed& o, int64_t chunk, int64_t panel) {
    return o.data + (chunk * o.panels + panel) * depth.chunk_elements;
  };
  const int64_t panel_bytes = int64_t{sizeof(uint16_t)} * depth.chunk_elements;
  for (int64_t chunk = 0; chunk < depth.chunks; ++chunk) {
    const int64_t steps = depth.steps_of(chunk);
    const int64_t next = std::min(chunk + 1, depth.chunks - 1);
    const auto* next_a = reinterpret_cast<const std::byte*>(at(a, next, a.begin));
    const auto* next_b = reinterpret_cast<const std::byte*>(at(b, next, b.begin));
    const int64_t bytes_a = a.count() * panel_bytes;
    const int64_t bytes_b = b.count() * panel_bytes;
    int64_t fetched = 0;
    for (int64_t q = b.begin; q < b.end; ++q) {
      for (int64_t p = a.begin; p < a.end; ++p) {
        const int64_t from_b = std::min(fetched - bytes_a, bytes_b - panel_bytes);
        const std::byte* upcoming = fetched < bytes_a ? next_a + fetched : next_b + from_b;
        fetched += steps * kFetchedLines * kLine;
        multiply_panels(
            at(a, chunk, p), at(b, chunk, q), steps, upcoming, chunk == 0,
            SumTiles::packed(sums + ((p - a.begin) * kBlockPanels + q - b.begin) * kSums));
      }
    }
  }
}

/// Where sums go: `rows` by `columns` at c.
struct Target {
  float* c;
  int64_t ldc;
  int64_t rows;
  int64_t columns;
  bool accumulate;
};

/// Writes the sums of a block to a target, or adds them to it.
ESPALIER_AMX inline void store_block(const Target& t, const float* sums) {
  for (int64_t i = 0; i < t.rows; ++i) {
    const float* source = sums + i / kPanel * kBlockPanels * kSums +
                          i % kPanel / kTile * 2 * kTile * kTile + i % kTile * kTile;
    float* target = t.c + i * t.ldc;
    for (int64_t j = 0; j < t.columns; j += kTile) {
      const int64_t tile = j / kTile;
      const int64_t left = std::min(kTile, t.columns - j);
      const auto mask = static_cast<__mmask16>((uint32_t{1} << left) - 1);
      __m512 value = _mm512_load_ps(source + tile / 2 * kSums + tile % 2 * kTile * kTile);
      if (t.accumulate) value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(mask, target + j));
      _mm512_mask_storeu_ps(target + j, mask, value);
    }
  }
}

/// Blocks of at most kBlockPanels panels, as equal as can be.
inline int64_t block_panels(int64_t panels) {
  return ceil_divide(panels, ceil_divide(panels, kBlockPanels));
}

}  // namespace espalier::cpu::amx

#endif
