#include "binding/cpu/symmetric.h"

#include <algorithm>

#include "binding/cpu/lapack.h"

namespace espalier::cpu {

void symmetric_product(const double* a, int64_t n, const double* x, double* y, int64_t count) {
  const auto order = static_cast<LapackInt>(n);
  const auto columns = static_cast<LapackInt>(count);
  const double one = 1;
  const double zero = 0;
  dsymm_("L", "U", &order, &columns, &one, a, &order, x, &order, &zero, y, &order);
}

void symmetric_moments(const double* a, int64_t n, double* diagonal, double* squares) {
  constexpr int64_t kBlock = 128;
  // Column j: its part below the diagonal by columns, then its part above, which is row j.
#pragma omp parallel for schedule(static, 1)
  for (int64_t start = 0; start < n; start += kBlock) {
    const int64_t end = std::min(n, start + kBlock);
    for (int64_t j = start; j < end; ++j) {
      diagonal[j] = a[j * n + j];
      double sum = 0;
      for (int64_t i = 0; i < j; ++i) sum += a[j * n + i] * a[j * n + i];
      squares[j] = sum;
    }
    for (int64_t i = start; i < n; ++i) {
      const double* row = a + i * n;
      const int64_t last = std::min(end, i + 1);
      for (int64_t j = start; j < last; ++j) squares[j] += row[j] * row[j];
    }
  }
}

}  // namespace espalier::cpu
