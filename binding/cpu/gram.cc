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
#include <cstring>

#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/load_weight.h"
#include "binding/cpu/scratch.h"

#ifndef ESPALIER_CPU_GRAM_ONCE
#define ESPALIER_CPU_GRAM_ONCE
namespace espalier::cpu {
namespace {

// Rows whose products are summed in f32.
constexpr int64_t kRows = 256;
// Widest tile: two packed blocks and the f64 tile fit the second-level cache.
constexpr int64_t kMaxTile = 192;
// Floats of one packed block.
constexpr int64_t kBlock = kRows * kMaxTile;

}  // namespace
}  // namespace espalier::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace espalier::cpu::HWY_NAMESPACE {
namespace {

// 12 x 2 accumulators of the 32 registers that AVX-512 and Arm have, or 6 x 2 of 16.
constexpr bool kManyRegisters = HWY_MAX_BYTES >= 64 || HWY_ARCH_ARM_A64;
constexpr int64_t kMicroRows = kManyRegisters ? 12 : 6;
constexpr int64_t kMicroVectors = 2;
constexpr int64_t kLanes = hn::MaxLanes(hn::ScalableTag<float>());
constexpr int64_t kMicroColumns = kMicroVectors * kLanes;
static_assert(kMaxTile % kMicroRows == 0 && kMaxTile % kMicroColumns == 0);

// One row's columns as f32, zero beyond `columns` up to kMaxTile.
template <class W>
HWY_INLINE void widen_row(const W* source, int64_t columns, float* row) {
  const hn::ScalableTag<float> d;
  int64_t c = 0;
  for (; c + kLanes <= columns; c += kLanes) hn::StoreU(load_weight(d, source + c), d, row + c);
  for (; c < columns; ++c) row[c] = load_weight_scalar(source + c);
}

// Panels [columns / Width][rows][Width] of rows x columns elements, zero-padded to whole panels.
template <int64_t Width, class W>
void pack(const W* source, int64_t stride, int64_t rows, int64_t columns, float* packed) {
  HWY_ALIGN float row[kMaxTile + Width] = {};
  for (int64_t r = 0; r < rows; ++r) {
    widen_row(source + r * stride, columns, row);
    for (int64_t c = 0; c < columns; c += Width) {
      std::memcpy(packed + c * rows + r * Width, row + c, Width * sizeof(float));
    }
  }
}

// Adds a vector of f32 sums to f64 memory.
HWY_INLINE void add_to(hn::Vec<hn::ScalableTag<float>> sum, double* output, int64_t columns) {
  const hn::ScalableTag<float> d;
  HWY_ALIGN float sums[kLanes];
  hn::Store(sum, d, sums);
  if (columns >= kLanes && kLanes > 1) {
    const hn::ScalableTag<double> dd;
    const hn::Rebind<float, decltype(dd)> half;
    for (int64_t c = 0; c < kLanes; c += kLanes / 2) {
      const auto wide = hn::PromoteTo(dd, hn::Load(half, sums + c));
      hn::StoreU(hn::Add(hn::LoadU(dd, output + c), wide), dd, output + c);
    }
    return;
  }
  for (int64_t c = 0; c < std::min(columns, kLanes); ++c) {
    output[c] += static_cast<double>(sums[c]);
  }
}

// output[m, c] += Σ_r a[r, m] b[r, c] for one pair of panels; rows_out and columns_out are how many
// of the kMicroRows x kMicroColumns results exist.
void multiply_panels(const float* HWY_RESTRICT a, const float* HWY_RESTRICT b, int64_t rows,
                     double* output, int64_t stride, int64_t rows_out, int64_t columns_out) {
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
    if (m >= rows_out) break;
    for (int64_t v = 0; v < kMicroVectors; ++v) {
      add_to(sum[m][v], output + m * stride + v * kLanes, columns_out - v * kLanes);
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

// Adds yᵀ x of all rows to one tile; in the symmetric case (y == x) the part below the diagonal is
// left undefined.
template <class W>
void multiply_tile(const GramArguments& a, const W* y, int64_t y_width, const Tile& tile,
                   float* packed) {
  const W* x = static_cast<const W*>(a.x.data);
  const int64_t width = a.x.shape.columns();
  const int64_t rows = a.x.shape.rows();
  const bool diagonal = !a.y.given() && tile.row == tile.column;
  double* output = a.output.as<double>() + tile.row * width + tile.column;
  float* packed_y = packed;
  float* packed_x = packed + kBlock;
  for (int64_t start = 0; start < rows; start += kRows) {
    const int64_t taken = std::min(kRows, rows - start);
    pack<kMicroRows>(y + start * y_width + tile.row, y_width, taken, tile.rows, packed_y);
    pack<kMicroColumns>(x + start * width + tile.column, width, taken, tile.columns, packed_x);
    for (int64_t c = 0; c < tile.columns; c += kMicroColumns) {
      for (int64_t m = 0; m < tile.rows; m += kMicroRows) {
        if (diagonal && m >= c + kMicroColumns) break;
        multiply_panels(packed_y + m * taken, packed_x + c * taken, taken, output + m * width + c,
                        width, tile.rows - m, tile.columns - c);
      }
    }
  }
}

void clear_tile(const GramArguments& a, const Tile& tile) {
  const int64_t width = a.output.shape.columns();
  for (int64_t r = tile.row; r < tile.row + tile.rows; ++r) {
    std::fill_n(a.output.as<double>() + r * width + tile.column, tile.columns, 0.0);
  }
}

// Copies a tile to its mirror image, in squares of a cache line.
void mirror_tile(const GramArguments& a, const Tile& tile) {
  constexpr int64_t kSquare = 8;
  const int64_t width = a.output.shape.columns();
  double* matrix = a.output.as<double>();
  for (int64_t i = tile.row; i < tile.row + tile.rows; i += kSquare) {
    const int64_t i_end = std::min(i + kSquare, tile.row + tile.rows);
    for (int64_t j = tile.column; j < tile.column + tile.columns; j += kSquare) {
      const int64_t j_end = std::min(j + kSquare, tile.column + tile.columns);
      for (int64_t c = j; c < j_end; ++c) {
        for (int64_t r = i; r < std::min(i_end, c); ++r)
          matrix[c * width + r] = matrix[r * width + c];
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

void gram(const GramArguments& a, float* packed) {
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
      if (!a.accumulate) clear_tile(a, tile);
      with_weight_type(symmetric ? a.x.data : a.y.data, a.x.dtype, [&](const auto* y) {
        multiply_tile(a, y, height, tile, packed + omp_get_thread_num() * 2 * kBlock);
      });
      if (symmetric) mirror_tile(a, tile);
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
  const Scratch<float> packed(static_cast<size_t>(omp_get_max_threads() * 2 * kBlock));
  if (packed.data() == nullptr) return out_of_scratch();
  HWY_DYNAMIC_DISPATCH(gram)(arguments, packed.data());
  return {};
}

}  // namespace espalier::cpu
#endif
