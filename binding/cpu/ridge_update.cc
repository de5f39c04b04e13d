// W' = W + (C - W G)(G + λI)⁻¹ = (C + λW)(G + λI)⁻¹: least squares damped towards the current
// weights. W: [out, in] f32, bf16 or f16; G: [in, in] f64; C: [out, in] f64; W': f32. The second
// form needs no product W G and is as accurate: both lose cond(G + λI) digits of f64. Row-major
// rows of W' are Fortran's columns, so a block of them solves (G + λI) X = (C + λW)ᵀ from the left.
// Memory: the factor (see factor_space.h) and a block of rows.
#include <algorithm>

#include "binding/cpu/blas_buffers.h"
#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/factor.h"
#include "binding/cpu/factor_space.h"
#include "binding/cpu/lapack.h"
#include "binding/cpu/scratch.h"
#include "binding/cpu/weight_rows.h"

namespace espalier::cpu {
namespace {

constexpr int64_t kBlockRows = 512;

}  // namespace

Status CpuBackend::ridge_update(const RidgeUpdateArguments& a) {
  const int64_t columns = a.weight.shape.columns();
  const int64_t rows = a.weight.shape.rows();
  if (rows == 0 || columns == 0) return {};
  if (Status status = prepare_blas(); !status.ok()) return status;
  const int64_t block_rows = std::min(rows, kBlockRows);
  const FactorSpace factor(a.g, a.lent);
  const Scratch<double> block(static_cast<size_t>(block_rows * columns));
  if (factor.data() == nullptr || block.data() == nullptr) return out_of_scratch();
  const double lambda = damping_of(a.g, a.damping, true);
  if (Status status = factor_damped(a.g, lambda, factor.data()); !status.ok()) return status;

  const auto order = static_cast<LapackInt>(columns);
  const double one = 1;
  for (int64_t start = 0; start < rows; start += block_rows) {
    const auto count = static_cast<LapackInt>(std::min(block_rows, rows - start));
    const double* c = a.c.as<double>() + start * columns;
    double* x = block.data();
#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < count; ++row) {
      double* target = x + row * columns;
      weight_row_to_f64(a.weight, start + row, 0, columns, target);
      for (int64_t j = 0; j < columns; ++j) target[j] = c[row * columns + j] + lambda * target[j];
    }
    if (!all_finite(x, count * columns)) return not_finite("w or c");
    dtrsm_("L", "U", "T", "N", &order, &count, &one, factor.data(), &order, x, &order);
    dtrsm_("L", "U", "N", "N", &order, &count, &one, factor.data(), &order, x, &order);
    float* output = a.output.as<float>() + start * columns;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < count * columns; ++i) output[i] = static_cast<float>(x[i]);
    if (!all_finite({output, DType::f32, Shape{count, columns}})) {
      return not_finite("the updated weight");
    }
  }
  return {};
}

}  // namespace espalier::cpu
