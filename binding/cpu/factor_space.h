// Where a factorisation happens: in the matrix's own memory when that may be lent.
#pragma once

#include <cstdint>
#include <optional>

#include "binding/core/op_arguments.h"
#include "binding/cpu/scratch.h"

namespace espalier::cpu {

/// [n, n] f64 for the Cholesky factor of a symmetric matrix and what is made of it, all in the
/// lower triangle (row-major). A Gram matrix of 11008 columns takes 969 MB, and a copy as much
/// again; but its two triangles hold the same numbers. So a lent matrix that is symmetric to the
/// last bit gives its lower triangle, which is written back from the upper one when this goes out
/// of scope. Other and small matrices get scratch memory. Nothing may write the upper triangle.
class FactorSpace {
 public:
  /// Takes the memory; `lent` says that the matrix may be written to in between.
  FactorSpace(const ConstView& matrix, bool lent);
  FactorSpace(const FactorSpace&) = delete;
  FactorSpace& operator=(const FactorSpace&) = delete;
  ~FactorSpace();

  /// The memory, or null: the kernel then returns out_of_scratch().
  [[nodiscard]] double* data() const;

 private:
  int64_t n_;
  double* matrix_ = nullptr;                // when lent
  std::optional<Scratch<double>> scratch_;  // the diagonal of a lent matrix, or [n, n]
};

}  // namespace espalier::cpu
