// Sums of a matrix over its rows (one value per column) or over its columns (one per row), in f64.
// Rows are summed in chunks of fixed size and the chunks in order, so the number of threads does
// not change the bits.
#include <algorithm>

#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/scratch.h"

namespace espalier::cpu {
namespace {

constexpr int64_t kRowChunk = 256;
constexpr int64_t kColumnBlock = 512;

template <class T>
void sum_columns(const SumArguments& a) {
  const int64_t rows = a.x.shape.rows();
  const int64_t columns = a.x.shape.columns();
  auto* output = a.output.as<double>();
#pragma omp parallel for schedule(static) if (rows * columns > 65536)
  for (int64_t row = 0; row < rows; ++row) {
    const T* x = a.x.as<T>() + row * columns;
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t c = 0; c < columns; ++c) sum += static_cast<double>(x[c]);
    output[row] = sum;
  }
}

// partial [chunks, columns]: the sums of each chunk of rows.
template <class T>
void sum_chunks(const SumArguments& a, double* partial) {
  const int64_t rows = a.x.shape.rows();
  const int64_t columns = a.x.shape.columns();
#pragma omp parallel for collapse(2) schedule(static) if (rows * columns > 65536)
  for (int64_t r0 = 0; r0 < rows; r0 += kRowChunk) {
    for (int64_t c0 = 0; c0 < columns; c0 += kColumnBlock) {
      double* sums = partial + r0 / kRowChunk * columns + c0;
      const int64_t width = std::min(kColumnBlock, columns - c0);
      std::fill_n(sums, width, 0.0);
      for (int64_t row = r0; row < std::min(rows, r0 + kRowChunk); ++row) {
        const T* x = a.x.as<T>() + row * columns + c0;
        for (int64_t c = 0; c < width; ++c) sums[c] += static_cast<double>(x[c]);
      }
    }
  }
}

template <class T>
Status sum_rows(const SumArguments& a) {
  const int64_t columns = a.x.shape.columns();
  const int64_t chunks = (a.x.shape.rows() + kRowChunk - 1) / kRowChunk;
  const Scratch<double> partial(static_cast<size_t>(chunks * columns));
  if (partial.data() == nullptr) return out_of_scratch();
  sum_chunks<T>(a, partial.data());
  auto* output = a.output.as<double>();
  for (int64_t c = 0; c < columns; ++c) output[c] = 0;
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    for (int64_t c = 0; c < columns; ++c) output[c] += partial.data()[chunk * columns + c];
  }
  return {};
}

template <class T>
Status sum(const SumArguments& a) {
  if (!a.columns) return sum_rows<T>(a);
  sum_columns<T>(a);
  return {};
}

}  // namespace

Status CpuBackend::sum(const SumArguments& arguments) {
  return arguments.x.dtype == DType::f64 ? cpu::sum<double>(arguments) : cpu::sum<float>(arguments);
}

}  // namespace espalier::cpu
