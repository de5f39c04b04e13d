// Transpose: y[c, r] = x[r, c]. Elements are moved as bits. A block turns one square tile through
// shared memory, so that it both reads and writes along rows; the tile's rows are one element
// longer than the tile, which spreads its columns over the banks.
#include "cuda/cuda_backend.h"
#include "cuda/device.h"
#include "cuda/launch.h"

namespace espalier::cuda {
namespace {

constexpr int kTile = 32;
constexpr int kRowsAtOnce = 8;

template <class Bits>
__global__ void transpose_tiles(const Bits* x, int64_t rows, int64_t columns, Bits* y) {
  auto* tile = dynamic_shared<Bits>();
  const int64_t tiles_across = (columns + kTile - 1) / kTile;
  const int64_t tiles = (rows + kTile - 1) / kTile * tiles_across;
  const int lane = static_cast<int>(threadIdx.x);
  const int line = static_cast<int>(threadIdx.y);
  for (int64_t t = blockIdx.x; t < tiles; t += gridDim.x) {
    const int64_t row = t / tiles_across * kTile;
    const int64_t column = t % tiles_across * kTile;
    for (int i = line; i < kTile; i += kRowsAtOnce) {
      if (row + i < rows && column + lane < columns) {
        tile[i * (kTile + 1) + lane] = x[(row + i) * columns + column + lane];
      }
    }
    __syncthreads();
    for (int i = line; i < kTile; i += kRowsAtOnce) {
      if (column + i < columns && row + lane < rows) {
        y[(column + i) * rows + row + lane] = tile[lane * (kTile + 1) + i];
      }
    }
    __syncthreads();
  }
}

template <class Bits>
Status transpose_bits(CudaBackend& backend, const TransposeArguments& a) {
  const int64_t rows = a.x.shape[0];
  const int64_t columns = a.x.shape[1];
  const int64_t tiles = (rows + kTile - 1) / kTile * ((columns + kTile - 1) / kTile);
  return launch(transpose_tiles<Bits>,
                {.blocks = blocks_for(tiles, 1),
                 .threads = {kTile, kRowsAtOnce},
                 .shared_bytes = sizeof(Bits) * kTile * (kTile + 1)},
                backend.stream(), a.x.as<Bits>(), rows, columns, a.output.as<Bits>());
}

}  // namespace

Status CudaBackend::transpose(const TransposeArguments& a) {
  switch (size_of(a.x.dtype)) {
    case 1:
      return transpose_bits<uint8_t>(*this, a);
    case 2:
      return transpose_bits<uint16_t>(*this, a);
    case 4:
      return transpose_bits<uint32_t>(*this, a);
    default:
      return transpose_bits<uint64_t>(*this, a);
  }
}

}  // namespace espalier::cuda
