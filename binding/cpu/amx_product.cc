// C = op(A) op(B) for bf16 matrices, f32 sums, in AMX tiles. All of A is packed first, then B, as
// many blocks of columns at a time as give every thread work.
#include "binding/cpu/amx_product.h"

#if defined(__x86_64__)

#include <omp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "binding/cpu/amx_tiles.h"
#include "binding/cpu/scratch.h"
#include "dnnl.h"

namespace espalier::cpu {
namespace {

using namespace amx;

// Panels of B for as many bytes are packed at once where that is more than the threads need.
constexpr int64_t kPackedBytes = int64_t{4} << 20;

// What all threads share.
struct Product {
  const GemmBf16& g;
  Operand a;
  Operand b;
  Depth depth;
  int64_t rows;     // panels of a block
  int64_t columns;  // panels of a block
  int64_t at_once;  // panels of B that are packed at once
  uint16_t* packed_a;
  uint16_t* packed_b;
  float* sums;  // of one block a thread
};

// The part of one thread of a team.
ESPALIER_AMX void take_part(const Product& p) {
  begin_tiles();
  float* sums = p.sums + int64_t{omp_get_thread_num()} * kBlockPanels * kBlockPanels * kSums;
  const int64_t panels_a = p.a.panels();
  const int64_t chunks = p.depth.chunks;
  const int64_t chunk_elements = p.depth.chunk_elements;
  // Chunks of a panel follow each other in memory.
#pragma omp for schedule(static) nowait
  for (int64_t i = 0; i < chunks * panels_a; ++i) {
    const int64_t place = i % chunks * panels_a + i / chunks;
    pack(p.a, Side::left, i / chunks, i % chunks, p.packed_a + place * chunk_elements);
  }
  for (int64_t start = 0; start < p.b.panels(); start += p.at_once) {
    const int64_t count = std::min(p.at_once, p.b.panels() - start);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < chunks * count; ++i) {
      const int64_t place = i % chunks * count + i / chunks;
      pack(p.b, Side::right, start + i / chunks, i % chunks, p.packed_b + place * chunk_elements);
    }
    const int64_t row_blocks = ceil_divide(panels_a, p.rows);
    const int64_t blocks = row_blocks * ceil_divide(count, p.columns);
#pragma omp for schedule(dynamic)
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t row = block % row_blocks * p.rows;
      const int64_t column = block / row_blocks * p.columns;
      const Packed a{p.packed_a, panels_a, row, std::min(row + p.rows, panels_a)};
      const Packed b{p.packed_b, count, column, std::min(column + p.columns, count)};
      multiply_block(a, b, p.depth, sums);
      const int64_t i = row * kPanel;
      const int64_t j = (start + column) * kPanel;
      store_block({.c = p.g.c + i * p.g.ldc + j,
                   .ldc = p.g.ldc,
                   .rows = std::min(a.count() * kPanel, p.g.m - i),
                   .columns = std::min(b.count() * kPanel, p.g.n - j),
                   .accumulate = p.g.accumulate},
                  sums);
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
  const Depth depth(g.k);
  const int64_t panel = depth.panel_elements();
  const int64_t blocks = std::max(ceil_divide(2 * threads, row_blocks),
                                  kPackedBytes / (columns * panel * int64_t{sizeof(uint16_t)}));
  const int64_t at_once = std::min(b.panels(), columns * blocks);
  const Scratch<uint16_t> packed_a(static_cast<size_t>(a.panels() * panel));
  const Scratch<uint16_t> packed_b(static_cast<size_t>(at_once * panel));
  const Scratch<float> sums(static_cast<size_t>(threads * kBlockPanels * kBlockPanels * kSums));
  if (packed_a.data() == nullptr || packed_b.data() == nullptr || sums.data() == nullptr) {
    return out_of_scratch();
  }
  const Product product{
      g, a, b, depth, rows, columns, at_once, packed_a.data(), packed_b.data(), sums.data()};
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
