// Weights are packed once. Then each block of 128 rows of x is rounded into tiles and goes through
// all products while it is in the caches; sums of whole panels are stored where they belong.
// Threads take these blocks one by one, since no two threads are equally fast for long.
#include "binding/cpu/amx_blocks.h"

#include "binding/cpu/amx_product.h"

#if defined(__x86_64__)

#include <omp.h>

#include <algorithm>
#include <vector>

#include "binding/cpu/amx_tiles.h"
#include "binding/cpu/round_bf16.h"
#include "binding/cpu/scratch.h"

namespace espalier::cpu {
namespace {

using namespace amx;

constexpr int64_t kRowPanels = 4;
constexpr int64_t kBlockRows = kRowPanels * kPanel;
// Elements of a weight: 512 KiB.
constexpr int64_t kMostElements = int64_t{1} << 18;
constexpr int64_t kMostDepth = 2048;

// A weight on its way into tiles.
struct Factor {
  const WeightProduct& product;
  Operand operand;
  uint16_t* packed;

  [[nodiscard]] uint16_t* columns_of(int64_t chunk, int64_t panel, const Depth& depth) const {
    return packed + (chunk * operand.panels() + panel) * depth.chunk_elements;
  }
};

// What all threads share.
struct Work {
  const float* x;
  int64_t rows;
  int64_t k;
  Depth depth;
  std::span<const Factor> factors;
  uint16_t* packed_rows;  // of one block a thread
  float* sums;            // of two panels a thread
};

ESPALIER_AMX void multiply_rows(const Work& w, int64_t first, uint16_t* packed_rows, float* sums) {
  const int64_t rows = std::min(kBlockRows, w.rows - first);
  const int64_t panels = ceil_divide(rows, kPanel);
  const auto rows_of = [&](int64_t chunk, int64_t panel) {
    return packed_rows + (chunk * panels + panel) * w.depth.chunk_elements;
  };
  for (int64_t chunk = 0; chunk < w.depth.chunks; ++chunk) {
    for (int64_t panel = 0; panel < panels; ++panel) {
      const int64_t row = panel * kPanel;
      pack_rounded(w.x + (first + row) * w.k, w.k, rows - row, w.k, chunk, rows_of(chunk, panel));
    }
  }
  for (const Factor& f : w.factors) {
    const bool accumulate = f.product.accumulate;
    const int64_t n = f.operand.extent;
    for (int64_t q = 0; q < f.operand.panels(); ++q) {
      for (int64_t p = 0; p < panels; ++p) {
        const Target target{.c = f.product.y + (first + p * kPanel) * n + q * kPanel,
                            .ldc = n,
                            .rows = std::min(kPanel, rows - p * kPanel),
                            .columns = std::min(kPanel, n - q * kPanel),
                            .accumulate = accumulate};
        const bool whole = target.rows == kPanel && target.columns == kPanel;
        const SumTiles tiles = whole ? SumTiles::inside(target.c, n) : SumTiles::packed(sums);
        for (int64_t chunk = 0; chunk < w.depth.chunks; ++chunk) {
          const uint16_t* columns = f.columns_of(chunk, q, w.depth);
          // Nothing needs to be fetched ahead; fetching what is there costs nothing.
          multiply_panels(rows_of(chunk, p), columns, w.depth.steps_of(chunk),
                          reinterpret_cast<const std::byte*>(columns),
                          chunk == 0 && !(whole && accumulate), tiles);
        }
        if (!whole) store_block(target, sums);
      }
    }
  }
}

// The part of one thread of a team.
ESPALIER_AMX void take_part(const Work& w) {
  begin_tiles();
  for (const Factor& f : w.factors) {
#pragma omp for schedule(static) nowait
    for (int64_t i = 0; i < f.operand.panels(); ++i) {
      for (int64_t chunk = 0; chunk < w.depth.chunks; ++chunk) {
        pack(f.operand, Side::right, i, chunk, f.columns_of(chunk, i, w.depth));
      }
    }
  }
#pragma omp barrier
  const int64_t thread = omp_get_thread_num();
  uint16_t* packed_rows = w.packed_rows + thread * kRowPanels * w.depth.panel_elements();
  float* sums = w.sums + thread * kSums;
#pragma omp for schedule(dynamic)
  for (int64_t first = 0; first < w.rows; first += kBlockRows) {
    multiply_rows(w, first, packed_rows, sums);
  }
  _tile_release();
}

}  // namespace

bool suits_amx_blocks(int64_t rows, int64_t n, int64_t k) {
  return n > 0 && k > 0 && k <= kMostDepth && n * k <= kMostElements &&
         rows >= 2 * kBlockRows * omp_get_max_threads() && has_amx_bf16();
}

Status multiply_amx_blocks(const float* x, int64_t rows, std::span<const WeightProduct> products) {
  if (products.empty()) return {};
  const int64_t k = products.front().weight.shape[1];
  const Depth depth(k);
  int64_t panels = 0;
  int64_t converted = 0;
  for (const WeightProduct& p : products) {
    panels += ceil_divide(p.weight.shape[0], kPanel);
    if (p.weight.dtype != DType::bf16) converted += p.weight.shape[0] * k;
  }
  const auto threads = static_cast<size_t>(omp_get_max_threads());
  const Scratch<uint16_t> weights(static_cast<size_t>(converted));
  const Scratch<uint16_t> packed(static_cast<size_t>(panels * depth.panel_elements()));
  const Scratch<uint16_t> packed_rows(threads * kRowPanels *
                                      static_cast<size_t>(depth.panel_elements()));
  const Scratch<float> sums(threads * kSums);
  if (weights.data() == nullptr || packed.data() == nullptr || packed_rows.data() == nullptr ||
      sums.data() == nullptr) {
    return out_of_scratch();
  }
  std::vector<Factor> factors;
  uint16_t* place = packed.data();
  uint16_t* rounded = weights.data();
  for (const WeightProduct& p : products) {
    const int64_t n = p.weight.shape[0];
    const auto* data = p.weight.as<uint16_t>();
    if (p.weight.dtype != DType::bf16) {
      round_to_bf16(p.weight.data, p.weight.dtype, n * k, rounded);
      data = rounded;
      rounded += n * k;
    }
    factors.push_back({p, {data, k, true, n, k}, place});
    place += ceil_divide(n, kPanel) * depth.panel_elements();
  }
  const Work work{x, rows, k, depth, factors, packed_rows.data(), sums.data()};
#pragma omp parallel
  take_part(work);
  return {};
}

}  // namespace espalier::cpu

#else

namespace espalier::cpu {

bool suits_amx_blocks(int64_t, int64_t, int64_t) { return false; }

Status multiply_amx_blocks(const float*, int64_t, std::span<const WeightProduct>) {
  return {ErrorCode::unsupported, "this is no x86 processor"};
}

}  // namespace espalier::cpu

#endif
