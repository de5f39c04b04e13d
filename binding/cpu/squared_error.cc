// Σ (x - y)² in f64. Blocks of fixed size are summed on their own and then in order, so the number
// of threads does not change the bits.
#include <algorithm>

#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/scratch.h"

namespace espalier::cpu {
namespace {

constexpr int64_t kBlock = 16384;

template <class T>
double block_error(const T* x, const T* y, int64_t count) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < count; ++i) {
    const double difference =
        static_cast<double>(x[i]) - (y == nullptr ? 0.0 : static_cast<double>(y[i]));
    sum += difference * difference;
  }
  return sum;
}

template <class T>
void squared_error(const SquaredErrorArguments& a, double* sums) {
  const int64_t count = a.x.shape.elements();
  const T* x = a.x.as<T>();
  const T* y = a.y.as<T>();
#pragma omp parallel for schedule(static) if (count > 4 * kBlock)
  for (int64_t start = 0; start < count; start += kBlock) {
    sums[start / kBlock] =
        block_error(x + start, y == nullptr ? nullptr : y + start, std::min(kBlock, count - start));
  }
}

}  // namespace

Status CpuBackend::squared_error(const SquaredErrorArguments& arguments) {
  const int64_t blocks = (arguments.x.shape.elements() + kBlock - 1) / kBlock;
  const Scratch<double> sums(static_cast<size_t>(blocks));
  if (sums.data() == nullptr) return out_of_scratch();
  if (arguments.x.dtype == DType::f64) {
    cpu::squared_error<double>(arguments, sums.data());
  } else {
    cpu::squared_error<float>(arguments, sums.data());
  }
  double total = 0;
  for (int64_t block = 0; block < blocks; ++block) total += sums.data()[block];
  *arguments.output.as<double>() = total;
  return {};
}

}  // namespace espalier::cpu
