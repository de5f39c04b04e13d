// min ‖a x - b‖ by LAPACK's divide-and-conquer SVD in f64; of least norm when a is rank deficient,
// where singular values under max(m, n) · ε · σ_max count as zero. a: [m, n], b: [m] or [m, k], x:
// [n] or [n, k]. LAPACK overwrites both, column-major, so both are copied transposed.
#include <algorithm>
#include <limits>

#include "binding/cpu/blas_buffers.h"
#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/factor.h"
#include "binding/cpu/lapack.h"
#include "binding/cpu/scratch.h"

namespace espalier::cpu {
namespace {

// target[j * stride + i] = source[i, j].
template <class T>
void transpose_into(const T* source, int64_t rows, int64_t columns, double* target,
                    int64_t stride) {
  constexpr int64_t kTile = 32;
#pragma omp parallel for schedule(static) if (rows * columns > 65536)
  for (int64_t left = 0; left < columns; left += kTile) {
    const int64_t end = std::min(columns, left + kTile);
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = left; j < end; ++j) {
        target[j * stride + i] = static_cast<double>(source[i * columns + j]);
      }
    }
  }
}

void transpose_view(const ConstView& source, int64_t rows, int64_t columns, double* target,
                    int64_t stride) {
  if (source.dtype == DType::f64) {
    transpose_into(source.as<double>(), rows, columns, target, stride);
  } else {
    transpose_into(source.as<float>(), rows, columns, target, stride);
  }
}

}  // namespace

Status CpuBackend::least_squares(const LeastSquaresArguments& a) {
  const int64_t m = a.a.shape.rows();
  const int64_t n = a.a.shape.columns();
  auto* x = a.output.as<double>();
  if (a.output.shape.elements() == 0) return {};
  const int64_t k = a.output.shape.elements() / n;
  if (m == 0) {
    std::fill_n(x, n * k, 0.0);
    return {};
  }
  if (Status status = prepare_blas(); !status.ok()) return status;
  if (!all_finite(a.a)) return not_finite("a");
  if (!all_finite(a.b)) return not_finite("b");
  const int64_t longest = std::max(m, n);
  const Scratch<double> matrix(static_cast<size_t>(m * n));
  const Scratch<double> sides(static_cast<size_t>(longest * k));
  const Scratch<double> values(static_cast<size_t>(std::min(m, n)));
  if (matrix.data() == nullptr || sides.data() == nullptr || values.data() == nullptr) {
    return out_of_scratch();
  }
  transpose_view(a.a, m, n, matrix.data(), m);
  transpose_view(a.b, m, k, sides.data(), longest);

  const auto rows = static_cast<LapackInt>(m);
  const auto columns = static_cast<LapackInt>(n);
  const auto count = static_cast<LapackInt>(k);
  const auto stride = static_cast<LapackInt>(longest);
  const double tolerance = static_cast<double>(longest) * std::numeric_limits<double>::epsilon();
  const LapackInt ask = -1;
  LapackInt rank = 0;
  LapackInt info = 0;
  LapackInt integers = 0;
  double size = 0;
  dgelsd_(&rows, &columns, &count, matrix.data(), &rows, sides.data(), &stride, values.data(),
          &tolerance, &rank, &size, &ask, &integers, &info);
  const auto doubles = static_cast<LapackInt>(size);
  const Scratch<double> work(static_cast<size_t>(doubles));
  const Scratch<LapackInt> integer_work(static_cast<size_t>(integers));
  if (work.data() == nullptr || integer_work.data() == nullptr) return out_of_scratch();
  dgelsd_(&rows, &columns, &count, matrix.data(), &rows, sides.data(), &stride, values.data(),
          &tolerance, &rank, work.data(), &doubles, integer_work.data(), &info);
  if (info != 0) return not_converged("the least-squares solution", "dgelsd", info);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < k; ++j) x[i * k + j] = sides.data()[j * longest + i];
  }
  return all_finite(x, n * k) ? Status() : not_finite("the solution");
}

}  // namespace espalier::cpu
