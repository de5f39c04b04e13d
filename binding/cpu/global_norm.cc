// sqrt(Σ x²) over many tensors. Blocks of fixed size are summed in f64 on their own and then in
// order, so the number of threads does not change the bits.
#include <cmath>

#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/tensor_blocks.h"

namespace espalier::cpu {
namespace {

double block_squares(const float* x, int64_t start, int64_t end) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = start; i < end; ++i) {
    sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  }
  return sum;
}

}  // namespace

Status CpuBackend::global_norm(const GlobalNormArguments& arguments) {
  const auto& tensors = arguments.tensors;
  const auto blocks = tensor_blocks(tensors, [](const ConstView& x) { return x.shape.elements(); });
  std::vector<double> sums(blocks.size());
#pragma omp parallel for schedule(static) if (worth_threads(blocks))
  for (size_t i = 0; i < blocks.size(); ++i) {
    const TensorBlock& block = blocks[i];
    sums[i] = block_squares(tensors[block.tensor].as<float>(), block.start, block.end);
  }
  double total = 0;
  for (const double sum : sums) total += sum;
  *arguments.output.as<double>() = std::sqrt(total);
  return {};
}

}  // namespace espalier::cpu
