// Cosine of corresponding rows: output[n] = Σ x y / sqrt(Σ x² Σ y²), 0 when either norm is 0.
// x, y: [N, D] f32; output: [N] f32. The three sums run in f64, so that squares neither overflow
// nor vanish. A warp takes a row, or a block where rows are long. Bound by memory.
#include "cuda/cuda_backend.h"
#include "cuda/device.h"
#include "cuda/launch.h"
#include "cuda/pack.h"

namespace espalier::cuda {
namespace {

constexpr int kThreads = 256;
// Columns from which a row is worth a block.
constexpr int64_t kLong = 2048;

template <bool kBlock>
__device__ inline double row_sum(double value, double* scratch) {
  return kBlock ? block_sum(value, scratch) : warp_sum(value);
}

template <bool kBlock, int kPack>
__global__ void row_cosines(const float* x, const float* y, int64_t rows, int64_t columns,
                            float* output) {
  __shared__ double scratch[32];
  constexpr int kGroup = kBlock ? kThreads : 32;
  constexpr int64_t kGroups = kThreads / kGroup;
  const int64_t member = threadIdx.x % kGroup;
  for (int64_t row = blockIdx.x * kGroups + threadIdx.x / kGroup; row < rows;
       row += gridDim.x * kGroups) {
    double xy = 0;
    double xx = 0;
    double yy = 0;
    for (int64_t c = member * kPack; c < columns; c += int64_t{kGroup} * kPack) {
      const auto left = load_pack<kPack>(x + row * columns + c);
      const auto right = load_pack<kPack>(y + row * columns + c);
      for (int i = 0; i < kPack; ++i) {
        const auto u = static_cast<double>(left.value[i]);
        const auto v = static_cast<double>(right.value[i]);
        xy += u * v;
        xx += u * u;
        yy += v * v;
      }
    }
    xy = row_sum<kBlock>(xy, scratch);
    xx = row_sum<kBlock>(xx, scratch);
    yy = row_sum<kBlock>(yy, scratch);
    if (member == 0) {
      output[row] = xx == 0 || yy == 0 ? 0.0F : static_cast<float>(xy / (sqrt(xx) * sqrt(yy)));
    }
  }
}

template <bool kBlock>
Status row_cosines(const CudaBackend& backend, const CosineArguments& a) {
  const int64_t rows = a.output.shape.elements();
  const int64_t columns = a.x.shape.columns();
  const auto* x = a.x.as<float>();
  const auto* y = a.y.as<float>();
  const bool packs = in_packs<4>(columns, x) && in_packs<4>(columns, y);
  return launch(packs ? row_cosines<kBlock, 4> : row_cosines<kBlock, 1>,
                {.blocks = blocks_for(rows, kBlock ? 1 : kThreads / 32), .threads = kThreads},
                backend.stream(), x, y, rows, columns, a.output.as<float>());
}

}  // namespace

Status CudaBackend::cosine(const CosineArguments& a) {
  return a.x.shape.columns() < kLong ? row_cosines<false>(*this, a) : row_cosines<true>(*this, a);
}

}  // namespace espalier::cuda
