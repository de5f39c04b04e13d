// Gather: y[i] = x[indices[i]] along the first dimension, the last, or both. Elements are moved as
// bits. Rows move in the widest pieces that their length and addresses allow; columns are read
// where the indices say and written side by side.
#include <algorithm>

#include "cuda/cuda_backend.h"
#include "cuda/indices.h"
#include "cuda/rows.h"

namespace espalier::cuda {
namespace {

template <class Bits>
__global__ void gather_rows(const Bits* x, const int32_t* indices, int64_t count, int64_t width,
                            Bits* y) {
  for_row_elements(count, width, [&](int64_t i, int64_t column) {
    y[i * width + column] = x[indices[i] * width + column];
  });
}

// A thread keeps its column and goes down the rows. Without `row_indices` rows stay in place.
template <class Bits>
__global__ void gather_columns(const Bits* x, const int32_t* row_indices, const int32_t* indices,
                               int64_t rows, int64_t width, int64_t count, Bits* y) {
  for (int64_t i = global_thread(); i < count; i += global_threads()) {
    const int64_t column = indices[i];
    for (int64_t row = blockIdx.y; row < rows; row += gridDim.y) {
      const int64_t from = row_indices == nullptr ? row : row_indices[row];
      y[row * count + i] = x[from * width + column];
    }
  }
}

template <class Bits>
Status launch_rows(CudaBackend& backend, const GatherArguments& a, int64_t bytes) {
  const int64_t count = a.indices.shape.elements();
  const int64_t width = bytes / static_cast<int64_t>(sizeof(Bits));
  return launch(gather_rows<Bits>, row_grid(count, width), backend.stream(), a.x.as<Bits>(),
                a.indices.as<int32_t>(), count, width, a.output.as<Bits>());
}

Status launch_rows(CudaBackend& backend, const GatherArguments& a) {
  if (a.output.shape.elements() == 0) return {};
  const int64_t bytes =
      a.x.shape.elements() / a.x.shape[0] * static_cast<int64_t>(size_of(a.x.dtype));
  const uintptr_t bits = reinterpret_cast<uintptr_t>(a.x.data) |
                         reinterpret_cast<uintptr_t>(a.output.data) | static_cast<uintptr_t>(bytes);
  if (bits % 16 == 0) return launch_rows<uint4>(backend, a, bytes);
  if (bits % 8 == 0) return launch_rows<uint2>(backend, a, bytes);
  if (bits % 4 == 0) return launch_rows<uint32_t>(backend, a, bytes);
  if (bits % 2 == 0) return launch_rows<uint16_t>(backend, a, bytes);
  return launch_rows<uint8_t>(backend, a, bytes);
}

template <class Bits>
Status launch_columns(CudaBackend& backend, const GatherArguments& a) {
  constexpr int64_t kThreads = 256;
  constexpr int64_t kBlocks = int64_t{1} << 14;
  const int64_t count = a.indices.shape.elements();
  const int64_t rows = a.both ? count : a.x.shape.rows();
  Grid grid{.blocks = blocks_for(count, kThreads), .threads = kThreads};
  const int64_t down = std::max<int64_t>(1, kBlocks / std::max<int64_t>(1, grid.blocks.x));
  grid.blocks.y = static_cast<unsigned>(std::min(rows, down));
  const auto* indices = a.indices.as<int32_t>();
  return launch(gather_columns<Bits>, grid, backend.stream(), a.x.as<Bits>(),
                a.both ? indices : nullptr, indices, rows, a.x.shape.columns(), count,
                a.output.as<Bits>());
}

}  // namespace

Status CudaBackend::gather(const GatherArguments& a) {
  const Shape& shape = a.x.shape;
  Status status =
      check_indices(*this, "indices", a.indices, a.columns ? shape.columns() : shape[0]);
  if (!status.ok()) return status;
  if (!a.columns && !a.both) return launch_rows(*this, a);
  switch (size_of(a.x.dtype)) {
    case 1:
      return launch_columns<uint8_t>(*this, a);
    case 2:
      return launch_columns<uint16_t>(*this, a);
    case 4:
      return launch_columns<uint32_t>(*this, a);
    default:
      return launch_columns<uint64_t>(*this, a);
  }
}

}  // namespace espalier::cuda
