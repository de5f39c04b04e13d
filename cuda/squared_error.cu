// Σ (x - y)² in f64, y = 0 when not given. x, y: f32 or f64 of one size. A fixed number of blocks
// strides over the elements and leaves one sum each; one block adds those. Bound by memory.
#include "cuda/cuda_backend.h"
#include "cuda/pack.h"
#include "cuda/reduce.h"
#include "cuda/scratch.h"

namespace espalier::cuda {
namespace {

constexpr int64_t kThreads = 256;
constexpr int64_t kBlocks = 1024;

struct StoreSum {
  double* output;
  __device__ void operator()(double sum) const { *output = sum; }
};

template <int kPack, class T>
__global__ void block_errors(const T* x, const T* y, int64_t packs, double* sums) {
  __shared__ double scratch[32];
  double sum = 0;
  for (int64_t i = global_thread(); i < packs; i += global_threads()) {
    const auto left = load_pack<kPack>(x + i * kPack);
    Pack<T, kPack> right{};
    if (y != nullptr) right = load_pack<kPack>(y + i * kPack);
    for (int j = 0; j < kPack; ++j) {
      const double difference =
          static_cast<double>(left.value[j]) - static_cast<double>(right.value[j]);
      sum += difference * difference;
    }
  }
  sum = block_sum(sum, scratch);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

template <class T>
Status squared_error(CudaBackend& backend, const SquaredErrorArguments& a) {
  constexpr int kPack = 16 / sizeof(T);
  const int64_t count = a.x.shape.elements();
  const auto* x = a.x.as<T>();
  const auto* y = a.y.as<T>();
  const bool in_fours = in_packs<kPack>(count, x) && in_packs<kPack>(count, y);
  const int64_t packs = in_fours ? count / kPack : count;
  const dim3 blocks = blocks_for(packs, kThreads, kBlocks);
  const Scratch<double> sums(backend, blocks.x);
  if (sums.data() == nullptr) return out_of_scratch();
  if (Status status = launch(in_fours ? block_errors<kPack, T> : block_errors<1, T>,
                             {.blocks = blocks, .threads = kThreads}, backend.stream(), x, y, packs,
                             sums.data());
      !status.ok()) {
    return status;
  }
  return finish_sum(backend, sums.data(), blocks.x, StoreSum{a.output.as<double>()});
}

}  // namespace

Status CudaBackend::squared_error(const SquaredErrorArguments& a) {
  return a.x.dtype == DType::f64 ? cuda::squared_error<double>(*this, a)
                                 : cuda::squared_error<float>(*this, a);
}

}  // namespace espalier::cuda
