// Transpose: y[c, r] = x[r, c], in square blocks that stay in the first cache. Elements are moved
// as bits.
#include <algorithm>

#include "binding/cpu/cpu_backend.h"

namespace espalier::cpu {
namespace {

constexpr int64_t kBlock = 32;

template <class Bits>
void transpose(const TransposeArguments& a) {
  const int64_t rows = a.x.shape[0];
  const int64_t columns = a.x.shape[1];
  const Bits* x = a.x.as<Bits>();
  Bits* y = a.output.as<Bits>();
#pragma omp parallel for collapse(2) schedule(static) if (rows * columns > 65536)
  for (int64_t c0 = 0; c0 < columns; c0 += kBlock) {
    for (int64_t r0 = 0; r0 < rows; r0 += kBlock) {
      const int64_t r1 = std::min(rows, r0 + kBlock);
      const int64_t c1 = std::min(columns, c0 + kBlock);
      for (int64_t c = c0; c < c1; ++c) {
        for (int64_t r = r0; r < r1; ++r) y[c * rows + r] = x[r * columns + c];
      }
    }
  }
}

}  // namespace

Status CpuBackend::transpose(const TransposeArguments& arguments) {
  switch (size_of(arguments.x.dtype)) {
    case 1:
      cpu::transpose<uint8_t>(arguments);
      break;
    case 2:
      cpu::transpose<uint16_t>(arguments);
      break;
    case 4:
      cpu::transpose<uint32_t>(arguments);
      break;
    default:
      cpu::transpose<uint64_t>(arguments);
  }
  return {};
}

}  // namespace espalier::cpu
