// The secular equation of a symmetric matrix that loses one row and column.
#pragma once

#include <cstdint>

namespace espalier {

/// For each of n columns j: w_0j / τ = Σ_{i>=1} w_ij / (d_i - τ), which has one root τ in [0, d_1].
/// With d_i the distances of eigenvalues from an extreme one and w_ij the squared j-th components
/// of their vectors, τ is how far the matrix without row and column j is from that extreme
/// (interlacing).
struct SecularProblem {
  const double* distances;          ///< d [k], ascending from d_0 = 0; scaled to about 1
  const double* vectors;            ///< row 0 of [k, n]; w_ij = factors_i · vectors_ij²
  int64_t stride = 0;               ///< elements from one row of vectors to the next; may be < 0
  const double* factors = nullptr;  ///< [k], or null: all 1
  int64_t k = 0;                    ///< shared terms, >= 1
  int64_t n = 0;                    ///< columns
  int64_t extra = 0;                ///< terms of each column's own
  const double* extra_distances = nullptr;  ///< [extra, n], >= 0
  const double* extra_weights = nullptr;    ///< [extra, n], >= 0
};

}  // namespace espalier
