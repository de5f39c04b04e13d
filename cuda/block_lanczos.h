// Largest eigenpairs of a symmetric operator that is only known by its products.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "cuda/cuda_backend.h"
#include "cuda/scratch.h"

namespace espalier::cuda {

/// Queues y = A x for `count` vectors, x and y [count, n] row by row on the device.
using SymmetricOperator = std::function<Status(const double* x, double* y, int64_t count)>;

/// Block Lanczos with full reorthogonalisation for a symmetric operator of order n >= 1, as
/// binding/cpu/block_lanczos.h has it; basis, projection and rotations stay on the device. A start
/// from fixed pseudo-random numbers makes runs repeatable. Memory: about (most + 8) n + 2 most²
/// f64.
class BlockLanczos {
 public:
  /// Vectors multiplied at once.
  static constexpr int64_t kBlock = 4;

  /// For a basis of at most min(most, n) vectors.
  BlockLanczos(CudaBackend& backend, int64_t n, int64_t most);

  /// False when there was no memory for it; nothing else may then be called.
  [[nodiscard]] bool allocated() const;
  /// Vectors in the basis.
  [[nodiscard]] int64_t size() const { return size_; }
  /// Most vectors the basis can have.
  [[nodiscard]] int64_t most() const { return most_; }
  /// Grows the basis to min(size, most()) vectors, finds the Ritz pairs of the operator in it and
  /// waits for them. NUMERIC when a product is not finite.
  Status extend(int64_t size, const SymmetricOperator& apply);
  /// The i-th largest Ritz value.
  [[nodiscard]] double value(int64_t i) const { return pairs_[static_cast<size_t>(i)]; }
  /// ‖A v - value v‖ of the i-th Ritz pair.
  [[nodiscard]] double residual(int64_t i) const { return pairs_[static_cast<size_t>(size_ + i)]; }
  /// Queues the vectors of the `count` largest Ritz values to `target` [count, n], the largest
  /// LAST.
  Status vectors(int64_t count, double* target) const;

 private:
  Status orthonormalise(int64_t width);
  Status project_out(double* vectors, int64_t count, double* coefficients) const;
  Status find_ritz_pairs();

  CudaBackend& backend_;
  int64_t n_;
  int64_t most_;
  int64_t size_ = 0;              // basis vectors whose products are known
  int64_t last_width_ = 0;        // vectors of the last block
  std::vector<double> pairs_;     // Ritz values from the largest on, then their residuals
  Scratch<double> basis_;         // [most, n] rows
  Scratch<double> remainder_;     // [kBlock, n]: products of the last block, outside the basis
  Scratch<double> projected_;     // [most, most]: basis A basisᵀ, lower triangle
  Scratch<double> rotations_;     // [most, most]: eigenvectors of it, as rows
  Scratch<double> values_;        // [most] ascending
  Scratch<double> coefficients_;  // [2, kBlock, most]
  Scratch<double> found_;         // [2, most]: pairs_ on the device
  Scratch<double> scale_;         // largest product seen
};

}  // namespace espalier::cuda
