// tr(W_g ([(G + λI)⁻¹]_gg)⁻¹ W_gᵀ) for each group g of s consecutive columns: the squared error
// left when the group's inputs go and the consumer W [out, n] is solved anew (methods:
// `reconstruction`). With G + λI = L Lᵀ and K = the group's columns of L⁻¹, [(G + λI)⁻¹]_gg = Kᵀ K
// = R Rᵀ, and the trace is ‖R⁻¹ W_gᵀ‖². For s = 1 that is ‖W_:j‖² / [(G + λI)⁻¹]_jj. Memory: the
// factor (see factor_space.h).
#include <algorithm>
#include <cmath>

#include "binding/cpu/blas_buffers.h"
#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/factor.h"
#include "binding/cpu/factor_space.h"
#include "binding/cpu/lapack.h"
#include "binding/cpu/scratch.h"
#include "binding/cpu/weight_rows.h"

namespace espalier::cpu {
namespace {

constexpr int64_t kBlockColumns = 256;

// norms[j] = Σ_row W[row, j]², every column by one thread in row order.
void column_norms(const ConstView& weight, double* norms) {
  const int64_t columns = weight.shape.columns();
  const int64_t rows = weight.shape.rows();
#pragma omp parallel for schedule(static)
  for (int64_t start = 0; start < columns; start += kBlockColumns) {
    const int64_t count = std::min(kBlockColumns, columns - start);
    double values[kBlockColumns];
    std::fill_n(norms + start, count, 0.0);
    for (int64_t row = 0; row < rows; ++row) {
      weight_row_to_f64(weight, row, start, count, values);
      for (int64_t j = 0; j < count; ++j) norms[start + j] += values[j] * values[j];
    }
  }
}

// Scratch of one group: the block [s, s] and a slice of the weight's columns.
struct GroupScratch {
  double* block;
  double* slice;
  int64_t slice_rows;
};

// ‖R⁻¹ W_gᵀ‖² with R Rᵀ = `scratch.block` (to Fortran Rᵀ upper), rows of W in slices.
double solved_norm(const ConstView& weight, int64_t start, int64_t size,
                   const GroupScratch& scratch) {
  const auto order = static_cast<LapackInt>(size);
  const double one = 1;
  double total = 0;
  const int64_t rows = weight.shape.rows();
  for (int64_t first = 0; first < rows; first += scratch.slice_rows) {
    const auto count = static_cast<LapackInt>(std::min(scratch.slice_rows, rows - first));
    for (int64_t row = 0; row < count; ++row) {
      weight_row_to_f64(weight, first + row, start, size, scratch.slice + row * size);
    }
    dtrsm_("L", "U", "T", "N", &order, &count, &one, scratch.block, &order, scratch.slice, &order);
    double sum = 0;
    for (int64_t i = 0; i < count * size; ++i) sum += scratch.slice[i] * scratch.slice[i];
    total += sum;
  }
  return total;
}

Status grouped(const LeaveGroupOutArguments& a, double* inverse) {
  const int64_t n = a.g.shape.columns();
  const int64_t size = a.group_size;
  const int64_t slice_rows =
      std::min(std::max<int64_t>(1, a.weight.shape.rows()), std::max<int64_t>(1, 262144 / size));
  const Scratch<double> block(static_cast<size_t>(size * size));
  const Scratch<double> slice(static_cast<size_t>(slice_rows * size));
  if (block.data() == nullptr || slice.data() == nullptr) return out_of_scratch();
  const auto order = static_cast<LapackInt>(size);
  const auto stride = static_cast<LapackInt>(n);
  const double one = 1;
  const double zero = 0;
  for (int64_t start = 0; start < n; start += size) {
    double* columns = inverse + start * n + start;
    for (int64_t i = 0; i < size; ++i)
      std::fill(columns + i * n + i + 1, columns + i * n + size, 0);
    const auto below = static_cast<LapackInt>(n - start);
    dsyrk_("U", "N", &order, &below, &one, columns, &stride, &zero, block.data(), &order);
    LapackInt info = 0;
    dpotrf_("U", &order, block.data(), &order, &info);
    if (info != 0) return inverse_not_positive_definite(start + info - 1);
    a.output.as<double>()[start / size] =
        solved_norm(a.weight, start, size, {block.data(), slice.data(), slice_rows});
  }
  return {};
}

}  // namespace

Status CpuBackend::leave_group_out(const LeaveGroupOutArguments& a) {
  const int64_t n = a.g.shape.columns();
  if (n == 0) return {};
  if (Status status = prepare_blas(); !status.ok()) return status;
  // The blocks of wider groups are made full, which takes both triangles.
  const FactorSpace factor(a.g, a.lent && a.group_size == 1);
  if (factor.data() == nullptr) return out_of_scratch();
  const double lambda = damping_of(a.g, a.damping, true);
  if (Status status = factor_damped(a.g, lambda, factor.data()); !status.ok()) return status;
  if (Status status = invert_factor(factor.data(), n); !status.ok()) return status;
  auto* output = a.output.as<double>();
  if (a.group_size == 1) {
    const Scratch<double> diagonal(static_cast<size_t>(n));
    if (diagonal.data() == nullptr) return out_of_scratch();
    inverse_diagonal(factor.data(), n, diagonal.data());
    column_norms(a.weight, output);
    for (int64_t j = 0; j < n; ++j) output[j] /= diagonal.data()[j];
  } else if (Status status = grouped(a, factor.data()); !status.ok()) {
    return status;
  }
  return all_finite(output, n / a.group_size) ? Status() : not_finite("w or a score");
}

}  // namespace espalier::cpu
