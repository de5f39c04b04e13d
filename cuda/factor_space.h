// Where a factorisation happens: in the matrix's own memory when that may be lent.
#pragma once

#include <cstdint>
#include <memory>

#include "cuda/cuda_backend.h"
#include "cuda/scratch.h"

namespace espalier::cuda {

/// [n, n] f64 for the Cholesky factor of a symmetric matrix and what is made of it, all in the
/// lower triangle (row-major). A Gram matrix of 11008 columns takes 969 MB, and a copy as much
/// again; but its two triangles hold the same numbers. So a lent matrix that is symmetric to the
/// last bit gives its lower triangle, which is written back from the upper one when this goes out
/// of scope. Other and small matrices get scratch memory. Nothing may write the upper triangle.
class FactorSpace {
 public:
  /// No memory yet.
  explicit FactorSpace(CudaBackend& backend) : backend_(backend) {}
  FactorSpace(const FactorSpace&) = delete;
  FactorSpace& operator=(const FactorSpace&) = delete;
  ~FactorSpace();

  /// Takes the memory for `matrix`; `lent` says that it may be written to in between.
  Status take(const ConstView& matrix, bool lent);

  /// The memory that was taken.
  [[nodiscard]] double* data() const;

 private:
  CudaBackend& backend_;
  int64_t n_ = 0;
  double* matrix_ = nullptr;                  // when lent
  std::unique_ptr<Scratch<double>> scratch_;  // the diagonal of a lent matrix, or [n, n]
};

}  // namespace espalier::cuda
