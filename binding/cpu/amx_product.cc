// C = op(A) op(B) for bf16 matrices, f32 sums, in AMX tiles of 16 rows of 64 bytes.
//
// A tile of A holds 16 rows by 32 of k, one of B 32 of k by 16 columns, as 16 rows of pairs of k.
// Two by two of each make a panel's step: 32 rows by 32 columns of C in four tiles of sums, for
// four loads and four products. Operands are packed into panels of 32 rows or columns, zeros at the
// edges, in chunks of k: [chunk][panel][step][two tiles]. A chunk of a panel of B stays in the
// first cache while panels of A pass by it; blocks of 12 by 12 panels, with their sums, stay in the
// second, where the next chunk is fetched to while one is multiplied. All of A is packed first,
// then B, as many blocks of columns at a time as give every thread work.
#include "binding/cpu/amx_product.h"

#if defined(__x86_64__)

// GCC 12's intrinsics start from vectors that they leave undefined on purpose.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#include <immintrin.h>
#include <omp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "binding/cpu/scratch.h"
#include "dnnl.h"

#define ESPALIER_AMX __attribute__((target("avx512f,avx512bw,avx512vl,amx-tile,amx-bf16")))

namespace espalier::cpu {
namespace {

constexpr int64_t kTile = 16;          // rows of a tile
constexpr int64_t kPanel = 2 * kTile;  // rows or columns of a panel
constexpr int64_t kStep = 32;          // of k in a tile
constexpr int64_t kTileElements = kTile * kStep;
constexpr int64_t kStepElements = 2 * kTileElements;
constexpr int64_t kChunkSteps = 16;
constexpr int64_t kChunkElements = kChunkSteps * kStepElements;
constexpr int64_t kBlockPanels = 12;
constexpr int64_t kSums = kPanel * kPanel;  // of two panels
constexpr int64_t kLine = 64;
// Lines of the next chunk that are fetched in a step. 144 pairs of panels fetch 18 of the next 24
// panels of 32 KB; fetching all of them was slower.
constexpr int64_t kFetchedLines = 4;
// Panels of B for as many bytes are packed at once where that is more than the threads need.
constexpr int64_t kPackedBytes = int64_t{4} << 20;

int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

struct alignas(64) TileConfiguration {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  std::array<uint8_t, 14> reserved{};
  std::array<uint16_t, 16> row_bytes{64, 64, 64, 64, 64, 64, 64, 64};
  std::array<uint8_t, 16> rows{kTile, kTile, kTile, kTile, kTile, kTile, kTile, kTile};
};

// A or B as it lies in memory; `along_k`: neighbours differ in k.
struct Operand {
  const uint16_t* data;
  int64_t ld;
  bool along_k;
  int64_t extent;  // rows of A, columns of B
  int64_t k;

  [[nodiscard]] const uint16_t* at(int64_t i, int64_t k_index) const {
    return along_k ? data + i * ld + k_index : data + k_index * ld + i;
  }
  [[nodiscard]] int64_t panels() const { return ceil_divide(extent, kPanel); }
  [[nodiscard]] int64_t steps() const { return ceil_divide(k, kStep); }
  [[nodiscard]] int64_t chunks() const { return ceil_divide(steps(), kChunkSteps); }
};

enum class Side { left, right };

// What fills a tile.
struct Vectors {
  __m512i rows[16];
  __m512i& operator[](size_t i) { return rows[i]; }
};

// Sixteen vectors of sixteen 32-bit elements become their transpose.
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

// Vector i: 32 of k of row i, from (first, k) on.
ESPALIER_AMX inline void load_rows(const Operand& o, int64_t first, int64_t k, Vectors& v) {
  const int64_t rows = std::min(kTile, o.extent - first);
  const int64_t columns = std::min(kStep, o.k - k);
  const auto mask = static_cast<__mmask32>((uint64_t{1} << columns) - 1);
  for (int64_t i = 0; i < kTile; ++i) {
    v[static_cast<size_t>(i)] =
        i < rows ? _mm512_maskz_loadu_epi16(mask, o.at(first + i, k)) : _mm512_setzero_si512();
  }
}

// Vector i: k + 2 i and k + 2 i + 1 of 16 columns, in pairs.
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

// One chunk of one panel. Left, rows of a tile are rows of A; right, they are pairs of k.
ESPALIER_AMX void pack(const Operand& o, Side side, int64_t panel, int64_t chunk,
                       uint16_t* target) {
  const int64_t steps = std::min(kChunkSteps, o.steps() - chunk * kChunkSteps);
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

// sums (+)= a bᵀ of two panels over some steps; a and the sums come from the second cache and are
// not to push b out of the first.
ESPALIER_AMX inline void multiply_panels(const uint16_t* a, const uint16_t* b, int64_t steps,
                                         const std::byte* upcoming, bool first, float* sums) {
  constexpr int kStride = 64;
  constexpr int64_t kTileSums = kTile * kTile;
  if (first) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  } else {
    _tile_stream_loadd(0, sums, kStride);
    _tile_stream_loadd(1, sums + kTileSums, kStride);
    _tile_stream_loadd(2, sums + 2 * kTileSums, kStride);
    _tile_stream_loadd(3, sums + 3 * kTileSums, kStride);
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
  _tile_stored(0, sums, kStride);
  _tile_stored(1, sums + kTileSums, kStride);
  _tile_stored(2, sums + 2 * kTileSums, kStride);
  _tile_stored(3, sums + 3 * kTileSums, kStride);
}

// Panels [begin, end) of `panels` that were packed together.
struct Packed {
  const uint16_t* data;
  int64_t panels;
  int64_t begin;
  int64_t end;

  [[nodiscard]] const uint16_t* at(int64_t chunk, int64_t panel) const {
    return data + (chunk * panels + panel) * kChunkElements;
  }
  [[nodiscard]] int64_t count() const { return end - begin; }
};

// sums [rows' panel][columns' panel][four tiles] of a block.
ESPALIER_AMX void multiply_block(const Packed& a, const Packed& b, int64_t all_steps, float* sums) {
  constexpr auto kPanelBytes = int64_t{sizeof(uint16_t)} * kChunkElements;
  const int64_t chunks = ceil_divide(all_steps, kChunkSteps);
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    const int64_t steps = std::min(kChunkSteps, all_steps - chunk * kChunkSteps);
    const int64_t next = std::min(chunk + 1, chunks - 1);
    const auto* next_a = reinterpret_cast<const std::byte*>(a.at(next, a.begin));
    const auto* next_b = reinterpret_cast<const std::byte*>(b.at(next, b.begin));
    const int64_t bytes_a = a.count() * kPanelBytes;
    const int64_t bytes_b = b.count() * kPanelBytes;
    int64_t fetched = 0;
    for (int64_t q = b.begin; q < b.end; ++q) {
      for (int64_t p = a.begin; p < a.end; ++p) {
        const int64_t from_b = std::min(fetched - bytes_a, bytes_b - kPanelBytes);
        const std::byte* upcoming = fetched < bytes_a ? next_a + fetched : next_b + from_b;
        fetched += steps * kFetchedLines * kLine;
        multiply_panels(a.at(chunk, p), b.at(chunk, q), steps, upcoming, chunk == 0,
                        sums + ((p - a.begin) * kBlockPanels + q - b.begin) * kSums);
      }
    }
  }
}

// Writes a block to, or adds it to, rows and columns of C from (row, column) on.
ESPALIER_AMX void store_block(const GemmBf16& g, int64_t row, int64_t row_end, int64_t column,
                              int64_t column_end, const float* sums) {
  for (int64_t i = row; i < std::min(row_end, g.m); ++i) {
    const int64_t inside = i - row;
    const float* source = sums + inside / kPanel * kBlockPanels * kSums +
                          inside % kPanel / kTile * 2 * kTile * kTile + inside % kTile * kTile;
    float* target = g.c + i * g.ldc;
    for (int64_t j = column; j < std::min(column_end, g.n); j += kTile) {
      const int64_t tile = (j - column) / kTile;
      const int64_t left = std::min(kTile, g.n - j);
      const auto mask = static_cast<__mmask16>((uint32_t{1} << left) - 1);
      __m512 value = _mm512_load_ps(source + tile / 2 * kSums + tile % 2 * kTile * kTile);
      if (g.accumulate) value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(mask, target + j));
      _mm512_mask_storeu_ps(target + j, mask, value);
    }
  }
}

// Blocks of at most kBlockPanels panels, as equal as can be.
int64_t block_panels(int64_t panels) {
  return ceil_divide(panels, ceil_divide(panels, kBlockPanels));
}

// What all threads share.
struct Product {
  const GemmBf16& g;
  Operand a;
  Operand b;
  int64_t rows;     // panels of a block
  int64_t columns;  // panels of a block
  int64_t at_once;  // panels of B that are packed at once
  uint16_t* packed_a;
  uint16_t* packed_b;
  float* sums;  // of one block a thread
};

// The part of one thread of a team.
ESPALIER_AMX void take_part(const Product& p) {
  static const TileConfiguration configuration;
  _tile_loadconfig(&configuration);
  float* sums = p.sums + int64_t{omp_get_thread_num()} * kBlockPanels * kBlockPanels * kSums;
  const int64_t panels_a = p.a.panels();
  const int64_t chunks = p.a.chunks();
#pragma omp for schedule(static) nowait
  for (int64_t i = 0; i < chunks * panels_a; ++i) {
    pack(p.a, Side::left, i % panels_a, i / panels_a, p.packed_a + i * kChunkElements);
  }
  for (int64_t start = 0; start < p.b.panels(); start += p.at_once) {
    const int64_t count = std::min(p.at_once, p.b.panels() - start);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < chunks * count; ++i) {
      pack(p.b, Side::right, start + i % count, i / count, p.packed_b + i * kChunkElements);
    }
    const int64_t row_blocks = ceil_divide(panels_a, p.rows);
    const int64_t blocks = row_blocks * ceil_divide(count, p.columns);
#pragma omp for schedule(dynamic)
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t row = block % row_blocks * p.rows;
      const int64_t column = block / row_blocks * p.columns;
      const Packed a{p.packed_a, panels_a, row, std::min(row + p.rows, panels_a)};
      const Packed b{p.packed_b, count, column, std::min(column + p.columns, count)};
      multiply_block(a, b, p.a.steps(), sums);
      store_block(p.g, a.begin * kPanel, a.end * kPanel, (start + b.begin) * kPanel,
                  (start + b.end) * kPanel, sums);
    }
  }
  _tile_release();
}

// Linux gives tiles to a process that asks for them.
bool may_use_tiles() {
  constexpr int kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr int kTileData = 18;               // XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

bool has_amx_bf16() {
  static const bool has = [] {
    constexpr int kIsa = dnnl_cpu_isa_avx512_core_amx;
    return (static_cast<int>(dnnl_get_effective_cpu_isa()) & kIsa) == kIsa && may_use_tiles();
  }();
  return has;
}

Status amx_product(const GemmBf16& g) {
  const Operand a{g.a, g.lda, !g.transpose_a, g.m, g.k};
  const Operand b{g.b, g.ldb, g.transpose_b, g.n, g.k};
  const int threads = omp_get_max_threads();
  const int64_t rows = block_panels(a.panels());
  const int64_t columns = block_panels(b.panels());
  const int64_t row_blocks = ceil_divide(a.panels(), rows);
  const int64_t panel = a.chunks() * kChunkElements;
  const int64_t blocks = std::max(ceil_divide(2 * threads, row_blocks),
                                  kPackedBytes / (columns * panel * int64_t{sizeof(uint16_t)}));
  const int64_t at_once = std::min(b.panels(), columns * blocks);
  const Scratch<uint16_t> packed_a(static_cast<size_t>(a.panels() * panel));
  const Scratch<uint16_t> packed_b(static_cast<size_t>(at_once * panel));
  const Scratch<float> sums(static_cast<size_t>(threads * kBlockPanels * kBlockPanels * kSums));
  if (packed_a.data() == nullptr || packed_b.data() == nullptr || sums.data() == nullptr) {
    return out_of_scratch();
  }
  const Product product{g,          a, b, rows, columns, at_once, packed_a.data(), packed_b.data(),
                        sums.data()};
#pragma omp parallel
  take_part(product);
  return {};
}

}  // namespace espalier::cpu

#else

namespace espalier::cpu {

bool has_amx_bf16() { return false; }

Status amx_product(const GemmBf16&) { return {ErrorCode::unsupported, "this is no x86 processor"}; }

}  // namespace espalier::cpu

#endif
