// Gram matrices in f64: output (+)= yᵀ x, with y = x for the symmetric case.
// x: [N, D], y: [N, E] f32, bf16 or f16; output: [E, D] f64.
//
// The output is cut into tiles; a thread owns a tile and walks down the rows in chunks of kRows. Of
// a chunk it packs the tile's columns of y and x into panels (16-bit types become f32 there) and
// lets registers of kMicroRows by kMicroVectors vectors run over the rows: both operands are
// contiguous, nothing is transposed. A chunk's sums are f32 and are added to the f64 output
// straight from the registers, so beside the output there are only two packed blocks per thread.
// Without y only the tiles on and above the diagonal are computed, then mirrored.
// Threads own tiles and chunks come in order: the number of threads does not change the bits.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "binding/cpu/gram.cc"
#include "hwy/foreach_target.h"  // keeps its place before highway.h
#include "hwy/highway.h"
//
#include <omp.h>

#include <algorithm>

#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/load_weight.h"
#include "binding/cpu/scratch.h"
#include "hwy/cache_control.h"

#ifndef ESPALIER_CPU_GRAM_ONCE
#define ESPALIER_CPU_GRAM_ONCE
namespace espalier::cpu {
namespace {

// Rows whose products are summed in f32.
constexpr int64_t kRows = 256;
// Widest tile: two packed blocks and the f64 tile fit the second-level cache.
constexpr int64_t kMaxTile = 192;
// How many rows ahead packing prefetches.
constexpr int64_t kAhead = 8;
// Floats of one packed block.
constexpr int64_t kBlock = kRows * kMaxTile;

// A thread's memory: the packed columns of y and x, and the tile [kMaxTile][kMaxTile].
struct Workspace {
  float* y;
  float* x;
  double* sums;
};

}  // namespace
}  // namespace espalier::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace espalier::cpu::HWY_NAMESPACE {
namespace {

// 12 x 2 accumulators of the 32 registers that AVX-512 and Arm have, or 4 x 3 of 16.
constexpr bool kManyRegisters = HWY_MAX_BYTES >= 64 || HWY_ARCH_ARM_A64;
constexpr int64_t kMicroRows = kManyRegisters ? 12 : 4;
constexpr int64_t kMicroVectors = kManyRegisters ? 2 : 3;
constexpr int64_t kLanes = hn::MaxLanes(hn::ScalableTag<float>());
constexpr int64_t kMicroColumns = kMicroVectors * kLanes;
static_assert(kMaxTile % kMicroRows == 0 && kMaxTile % kMicroColumns == 0);

// Lays one row out over panels [columns / Width][rows][Width]; columns is a multiple of Width.
template <int64_t Width, class W>
HWY_INLINE void spread_row(const W* source, int64_t rows, int64_t columns, float* packed) {
  const hn::CappedTag<float, Width % kLanes == 0 ? kLanes : 4> d;
  constexpr int64_t kStep = hn::MaxLanes(d);
  for (int64_t c = 0; c < columns; c += Width) {
    for (int64_t i = 0; i < Width; i += kStep) {
      hn::StoreU(load_weight(d, source + c + i), d, packed + c * rows + i);
    }
  }
}

// The elements of one row as f32.
template <class W>
HWY_INLINE void widen_row(const W* source, int64_t columns, float* row) {
  const hn::ScalableTag<float> d;
  int64_t c = 0;
  for (; c + kLanes <= columns; c += kLanes) hn::StoreU(load_weight(d, source + c), d, row + c);
  for (; c < columns; ++c) row[c] = load_weight_scalar(source + c);
}

// Panels of rows x columns elements, zero-padded to whole panels.
template <int64_t Width, class W>
void pack(const W* source, int64_t stride, int64_t rows, int64_t columns, float* packed) {
  const int64_t padded = (columns + Width - 1) / Width * Width;
  HWY_ALIGN float row[kMaxTile] = {};
  for (int64_t r = 0; r < rows; ++r, source += stride) {
    // The rows lie too far apart for the hardware to foresee; past the end this is harmless.
    for (int64_t c = 0; c < columns; c += 64 / static_cast<int64_t>(sizeof(W))) {
      hwy::Prefetch(source + kAhead * stride + c);
    }
    if (padded == columns) {
      spread_row<Width>(source, rows, columns, packed + r * Width);
    } else {
      widen_row(source, columns, row);
      spread_row<Width>(row, rows, padded, packed + r * Width);
    }
  }
}

// Adds a vector of f32 sums to f64 memory.
HWY_INLINE void add_to(hn::Vec<hn::ScalableTag<float>> sum, double* output) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> half;
  const auto lower = hn::PromoteTo(d, hn::LowerHalf(half, sum));
  const auto upper = hn::PromoteTo(d, hn::UpperHalf(half, sum));
  double* middle = output + kLanes / 2;
  hn::StoreU(hn::Add(hn::LoadU(d, output), lower), d, output);
  hn::StoreU(hn::Add(hn::LoadU(d, middle), upper), d, middle);
}

// sums[m, c] += Σ_r a[r, m] b[r, c] for one pair of panels.
void multiply_panels(const float* HWY_RESTRICT a, const float* HWY_RESTRICT b, int64_t rows,
                     double* HWY_RESTRICT sums) {
  const hn::ScalableTag<float> d;
  hn::Vec<decltype(d)> sum[kMicroRows][kMicroVectors];
  for (auto& line : sum) {
    for (auto& s : line) s = hn::Zero(d);
  }
  for (int64_t r = 0; r < rows; ++r) {
    hn::Vec<decltype(d)> wide[kMicroVectors];
    for (int64_t v = 0; v < kMicroVectors; ++v) {
      wide[v] = hn::LoadU(d, b + r * kMicroColumns + v * kLanes);
    }
    for (int64_t m = 0; m < kMicroRows; ++m) {
      const auto factor = hn::Set(d, a[r * kMicroRows + m]);
      for (int64_t v = 0; v < kMicroVectors; ++v) {
        sum[m][v] = hn::MulAdd(factor, wide[v], sum[m][v]);
      }
    }
  }
  for (int64_t m = 0; m < kMicroRows; ++m) {
    for (int64_t v = 0; v < kMicroVectors; ++v) {
      add_to(sum[m][v], sums + m * kMaxTile + v * kLanes);
    }
  }
}

// Where a tile of the output lies.
struct Tile {
  int64_t row;
  int64_t rows;
  int64_t column;
  int64_t columns;
};

// Adds yᵀ x of all rows to sums [tile.rows][kMaxTile]; on the diagonal of the symmetric case (y ==
// x) what lies below it is left incomplete.
template <class W>
void multiply_tile(const GramArguments& a, const W* y, const Tile& tile, const Workspace& work) {
  const W* x = static_cast<const W*>(a.x.data);
  const int64_t height = a.output.shape[0];
  const int64_t width = a.output.shape[1];
  const int64_t rows = a.x.shape.rows();
  const bool diagonal = !a.y.given() && tile.row == tile.column;
  for (int64_t start = 0; start < rows; start += kRows) {
    const int64_t taken = std::min(kRows, rows - start);
    pack<kMicroRows>(y + start * height + tile.row, height, taken, tile.rows, work.y);
    pack<kMicroColumns>(x + start * width + tile.column, width, taken, tile.columns, work.x);
    for (int64_t c = 0; c < tile.columns; c += kMicroColumns) {
      for (int64_t m = 0; m < tile.rows; m += kMicroRows) {
        if (diagonal && m >= c + kMicroColumns) break;
        multiply_panels(work.y + m * taken, work.x + c * taken, taken,
                        work.sums + m * kMaxTile + c);
      }
    }
  }
}

// The tile's sums so far: what the output holds when accumulating, else zero.
void load_tile(const GramArguments& a, const Tile& tile, double* sums) {
  const int64_t width = a.output.shape[1];
  const double* output = a.output.as<double>() + tile.row * width + tile.column;
  std::fill_n(sums, kMaxTile * kMaxTile, 0.0);
  if (!a.accumulate) return;
  for (int64_t r = 0; r < tile.rows; ++r) {
    std::copy_n(output + r * width, tile.columns, sums + r * kMaxTile);
  }
}

void store_tile(const GramArguments& a, const Tile& tile, const double* sums) {
  const int64_t width = a.output.shape[1];
  double* output = a.output.as<double>() + tile.row * width + tile.column;
  const bool diagonal = !a.y.given() && tile.row == tile.column;
  for (int64_t r = 0; r < tile.rows; ++r) {
    const int64_t first = diagonal ? r : 0;
    std::copy_n(sums + r * kMaxTile + first, tile.columns - first, output + r * width + first);
  }
}

// Writes a tile's mirror image, in squares of a cache line.
void store_mirrored(const GramArguments& a, const Tile& tile, const double* sums) {
  constexpr int64_t kSquare = 8;
  const int64_t width = a.output.shape[1];
  double* output = a.output.as<double>() + tile.column * width + tile.row;
  const bool diagonal = tile.row == tile.column;
  for (int64_t column = 0; column < tile.columns; column += kSquare) {
    for (int64_t row = 0; row < tile.rows; row += kSquare) {
      for (int64_t c = column; c < std::min(column + kSquare, tile.columns); ++c) {
        const int64_t end = std::min(row + kSquare, diagonal ? c : tile.rows);
        for (int64_t r = row; r < end; ++r) output[c * width + r] = sums[r * kMaxTile + c];
      }
    }
  }
}

// The widest tile that still gives every thread several.
int64_t tile_size(int64_t height, int64_t width, bool symmetric) {
  constexpr int64_t kStep = 96;
  for (int64_t size = kMaxTile; size > kStep; size -= kStep) {
    const int64_t tiles = ((height + size - 1) / size) * ((width + size - 1) / size);
    if (tiles / (symmetric ? 2 : 1) >= 4 * omp_get_max_threads()) return size;
  }
  return kStep;
}

void gram(const GramArguments& a, float* packed, double* sums) {
  const bool symmetric = !a.y.given();
  const int64_t height = a.output.shape[0];
  const int64_t width = a.output.shape[1];
  const int64_t size = tile_size(height, width, symmetric);
  const int64_t tiles_down = (height + size - 1) / size;
  const int64_t tiles_across = (width + size - 1) / size;
  // Dynamic, because tiles on the diagonal cost half; who computes a tile does not change it.
#pragma omp parallel for schedule(dynamic) collapse(2)
  for (int64_t i = 0; i < tiles_down; ++i) {
    for (int64_t j = 0; j < tiles_across; ++j) {
      if (symmetric && j < i) continue;
      const Tile tile{i * size, std::min(size, height - i * size), j * size,
                      std::min(size, width - j * size)};
      const int64_t thread = omp_get_thread_num();
      const Workspace work{packed + thread * 2 * kBlock, packed + (thread * 2 + 1) * kBlock,
                           sums + thread * kMaxTile * kMaxTile};
      load_tile(a, tile, work.sums);
      with_weight_type(symmetric ? a.x.data : a.y.data, a.x.dtype,
                       [&](const auto* y) { multiply_tile(a, y, tile, work); });
      store_tile(a, tile, work.sums);
      if (symmetric) store_mirrored(a, tile, work.sums);
    }
  }
}

}  // namespace
}  // namespace espalier::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace espalier::cpu {

HWY_EXPORT(gram);

Status CpuBackend::gram(const GramArguments& arguments) {
  if (arguments.output.shape.elements() == 0) return {};
  const auto threads = static_cast<size_t>(omp_get_max_threads());
  const Scratch<float> packed(threads * 2 * kBlock);
  const Scratch<double> sums(threads * kMaxTile * kMaxTile);
  if (packed.data() == nullptr || sums.data() == nullptr) return out_of_scratch();
  HWY_DYNAMIC_DISPATCH(gram)(arguments, packed.data(), sums.data());
  return {};
}

}  // namespace espalier::cpu
#endif
