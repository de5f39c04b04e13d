// Largest eigenpairs of a symmetric operator that is only known by its products.
#pragma once

#include <cstdint>
#include <functional>

#include "binding/core/status.h"
#include "binding/cpu/scratch.h"

namespace espalier::cpu {

/// y = A x for `count` vectors, x and y [count, n] row by row.
using SymmetricOperator = std::function<void(const double* x, double* y, int64_t count)>;

/// Block Lanczos with full reorthogonalisation (Golub & Underwood 1977) for a symmetric operator of
/// order n >= 1. Blocks of four vectors see eigenvalues repeated up to four times; a start from
/// fixed pseudo-random numbers makes runs repeatable. Memory: about (most + 8) n + 2 most² f64.
class BlockLanczos {
 public:
  /// Vectors multiplied at once.
  static constexpr int64_t kBlock = 4;

  /// For a basis of at most min(most, n) vectors.
  BlockLanczos(int64_t n, int64_t most);

  /// False when there was no memory for it; nothing else may then be called.
  [[nodiscard]] bool allocated() const;
  /// Vectors in the basis.
  [[nodiscard]] int64_t size() const { return size_; }
  /// Most vectors the basis can have.
  [[nodiscard]] int64_t most() const { return most_; }
  /// Grows the basis to min(size, most()) vectors and finds the Ritz pairs of the operator in it.
  /// NUMERIC when a product is not finite.
  Status extend(int64_t size, const SymmetricOperator& apply);
  /// The i-th largest Ritz value.
  [[nodiscard]] double value(int64_t i) const { return values_.data()[size_ - 1 - i]; }
  /// ‖A v - value v‖ of the i-th Ritz pair.
  [[nodiscard]] double residual(int64_t i) const;
  /// The vectors of the `count` largest Ritz values, [count, n], the largest LAST.
  void vectors(int64_t count, double* target) const;

 private:
  void orthonormalise();
  void randomise(double* vector);
  void project_out(double* vectors, int64_t count, double* coefficients) const;
  Status find_ritz_pairs();

  int64_t n_;
  int64_t most_;
  int64_t size_ = 0;        // basis vectors whose products are known
  int64_t width_ = 0;       // vectors of the next block, at basis row size_
  int64_t last_width_ = 0;  // vectors of the last block
  double scale_ = 0;        // largest product seen
  uint64_t random_ = 0x9e3779b97f4a7c15U;
  Scratch<double> basis_;         // [most, n] rows
  Scratch<double> remainder_;     // [kBlock, n]: products of the last block, outside the basis
  Scratch<double> projected_;     // [most, most]: basis A basisᵀ, lower triangle
  Scratch<double> rotations_;     // [most, most]: eigenvectors of it, as rows
  Scratch<double> values_;        // [most] ascending
  Scratch<double> coefficients_;  // [2, kBlock, most]
};

}  // namespace espalier::cpu
