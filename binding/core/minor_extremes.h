// What both backends fix of the extreme eigenvalues of a matrix that loses one row and column: the
// question, the limits of the search, and the rule that stands for the rest of the spectrum.
#pragma once

#include <cstdint>

#include "binding/core/radau.h"

namespace espalier {

/// Which question minor_extremes answers.
enum class MinorOf {
  matrix,   ///< largest eigenvalue of A without row and column j
  inverse,  ///< 1 / smallest eigenvalue of A⁻¹ without row and column j
};

/// The basis has at most this many vectors.
constexpr int64_t kMostMinorVectors = 256;
/// It grows by this many at a time.
constexpr int64_t kMoreMinorVectors = 32;
/// Ritz pairs this exact, in units of the largest eigenvalue, count as eigenpairs.
constexpr double kMinorConverged = 1e-9;
/// The root is found when its bounds are this close, in units of its distance from 0.
constexpr double kMinorAgreement = 1e-6;

/// The known part of A's spectrum, in units of the largest eigenvalue: distances from it are
/// e = 1 - λ/λ_max in [0, 1]. Pointers are the device's.
struct MinorSpectrum {
  const double* distances;  ///< [k]
  const double* vectors;    ///< [k, n], the largest eigenvalue's last
  int64_t k;
  int64_t n;
  double largest;
  const double* diagonal;   ///< A_jj at j · diagonal_stride
  int64_t diagonal_stride;  ///< in elements
  const double* squares;    ///< [n], ‖A_:j‖²
};

/// Moments of all weights of column j, the known ones included.
constexpr Moments whole_moments(const MinorSpectrum& s, int64_t j) {
  const double mean = s.diagonal[j * s.diagonal_stride] / s.largest;
  const double square = s.squares[j] / s.largest / s.largest;
  return {1, 1 - mean, 1 - 2 * mean + square};
}

/// Column j of extras [4, n], the Radau rule with a node at `end` as the two poles of the column's
/// own: distances first, then weights. In the equation of the inverse a pole at distance e weighs
/// 1 - e.
constexpr void write_rule(const Moments& moments, double end, double nearest, MinorOf question,
                          int64_t n, int64_t j, double* extras) {
  const bool inverse = question == MinorOf::inverse;
  const RadauRule rule = radau_rule(moments, end, nearest);
  extras[j] = rule.distance;
  extras[n + j] = end;
  extras[2 * n + j] = rule.weight * (inverse ? 1 - rule.distance : 1);
  extras[3 * n + j] = rule.end_weight * (inverse ? 1 - end : 1);
}

}  // namespace espalier
