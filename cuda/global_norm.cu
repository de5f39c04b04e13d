// sqrt(Σ x²) over many f32 tensors, in f64. Every piece leaves its sum; one block adds those in an
// order that depends on the sizes only. Bound by memory.
#include "cuda/cuda_backend.h"
#include "cuda/multi_tensor.h"
#include "cuda/pack.h"
#include "cuda/reduce.h"
#include "cuda/scratch.h"

namespace espalier::cuda {
namespace {

struct StoreRoot {
  double* output;
  __device__ void operator()(double sum) const { *output = sqrt(sum); }
};

__global__ void piece_squares(const __grid_constant__ TensorTable<1> table, double* sums) {
  __shared__ double scratch[32];
  double sum = 0;
  for_piece(table, [&](const TensorItem<1>& item, auto size, int64_t i) {
    constexpr int kSize = decltype(size)::value;
    const auto x = load_pack<kSize>(static_cast<const float*>(item.data[0]) + i);
    for (int j = 0; j < kSize; ++j) {
      const auto value = static_cast<double>(x.value[j]);
      sum += value * value;
    }
  });
  sum = block_sum(sum, scratch);
  if (threadIdx.x == 0) sums[table.pieces_before + blockIdx.x] = sum;
}

}  // namespace

Status CudaBackend::global_norm(const GlobalNormArguments& a) {
  std::vector<TensorItem<1>> items;
  for (const ConstView& x : a.tensors) {
    items.push_back({.data = {const_cast<void*>(x.data)},
                     .count = x.shape.elements(),
                     .index = 0,
                     .first_piece = 0});
  }
  const int64_t pieces = count_pieces(items);
  const Scratch<double> sums(*this, static_cast<size_t>(pieces));
  if (sums.data() == nullptr) return out_of_scratch();
  if (Status status = launch_over(*this, items, piece_squares, sums.data()); !status.ok()) {
    return status;
  }
  return finish_sum(*this, sums.data(), pieces, StoreRoot{a.output.as<double>()});
}

}  // namespace espalier::cuda
