// Elementwise kernels over many tensors of any sizes: one launch takes a table of tensors as a
// kernel parameter, and every block one piece of one of them.
#pragma once

#include <cstdint>
#include <type_traits>
#include <vector>

#include "cuda/cuda_backend.h"
#include "cuda/device.h"
#include "cuda/launch.h"

namespace espalier::cuda {

/// Elements of a piece.
constexpr int64_t kPiece = 16384;
/// Threads of a block that takes a piece.
constexpr int kPieceThreads = 256;

/// kArrays arrays of `count` elements that belong together.
template <int kArrays>
struct TensorItem {
  void* data[kArrays];  ///< null for an array that is not there
  int64_t count;        ///< elements of each
  int64_t index;        ///< place in the list of all tensors
  int64_t first_piece;  ///< pieces of the items before it in the same table
};

/// As many items as fit beside other parameters into the 4 KiB that every card takes.
template <int kArrays>
struct TensorTable {
  static constexpr int kMost = 3584 / sizeof(TensorItem<kArrays>);
  TensorItem<kArrays> items[kMost];  ///< none of them empty
  int count;                         ///< items in use
  int64_t pieces_before;             ///< pieces of the tables before this one
};

/// The item that piece `piece` of a table belongs to.
template <int kArrays>
__device__ inline const TensorItem<kArrays>& item_of_piece(const TensorTable<kArrays>& table,
                                                           int64_t piece) {
  int low = 0;
  int high = table.count - 1;
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    if (table.items[middle].first_piece <= piece) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return table.items[low];
}

/// Calls body(item, size, i) for the elements i … i + size - 1 of this block's piece, size an
/// integral_constant: 4 where all arrays are aligned for that, else 1.
template <int kArrays, class Body>
__device__ inline void for_piece(const TensorTable<kArrays>& table, Body&& body) {
  const TensorItem<kArrays>& item = item_of_piece(table, blockIdx.x);
  uintptr_t bits = 0;
  for (int a = 0; a < kArrays; ++a) bits |= reinterpret_cast<uintptr_t>(item.data[a]);
  const int64_t start = (blockIdx.x - item.first_piece) * kPiece;
  const int64_t end = start + kPiece < item.count ? start + kPiece : item.count;
  const int64_t fours = bits % 16 == 0 ? (end - start) / 4 : 0;
  for (int64_t i = threadIdx.x; i < fours; i += blockDim.x) {
    body(item, std::integral_constant<int, 4>{}, start + 4 * i);
  }
  for (int64_t i = start + 4 * fours + threadIdx.x; i < end; i += blockDim.x) {
    body(item, std::integral_constant<int, 1>{}, i);
  }
}

/// Pieces of all tensors, for memory with one number a piece.
template <int kArrays>
int64_t count_pieces(const std::vector<TensorItem<kArrays>>& items) {
  int64_t pieces = 0;
  for (const auto& item : items) pieces += (item.count + kPiece - 1) / kPiece;
  return pieces;
}

/// Launches `kernel` once for each table of non-empty tensors, one block a piece, with `parameters`
/// behind the table.
template <int kArrays, class... Parameters>
Status launch_over(const CudaBackend& backend, const std::vector<TensorItem<kArrays>>& items,
                   void (*kernel)(TensorTable<kArrays>, Parameters...),
                   std::type_identity_t<Parameters>... parameters) {
  TensorTable<kArrays> table{};
  int64_t pieces = 0;
  const auto flush = [&]() -> Status {
    Status status =
        launch(kernel, {.blocks = {static_cast<unsigned>(pieces)}, .threads = kPieceThreads},
               backend.stream(), table, parameters...);
    table.pieces_before += pieces;
    table.count = 0;
    pieces = 0;
    return status;
  };
  for (const auto& item : items) {
    if (item.count == 0) continue;
    if (table.count == TensorTable<kArrays>::kMost) {
      if (Status status = flush(); !status.ok()) return status;
    }
    table.items[table.count] = item;
    table.items[table.count++].first_piece = pieces;
    pieces += (item.count + kPiece - 1) / kPiece;
  }
  return flush();
}

/// False for the device's f64 number `norm` when it is not finite; true when not given.
__device__ inline bool finite_or_absent(const double* norm) {
  // Infinity less itself is NaN, and so is NaN.
  return norm == nullptr || *norm - *norm == 0;
}

}  // namespace espalier::cuda
