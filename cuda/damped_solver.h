// Solutions of (h + λI) x = b from one Cholesky factorisation.
#pragma once

#include <cstdint>
#include <memory>

#include "cuda/cuda_backend.h"
#include "cuda/factor_space.h"
#include "cuda/scratch.h"

namespace espalier::cuda {

/// A Cholesky factor of h + λI and what it takes to solve with it. The factor is f64, or, on cards
/// with little f64 and for few right-hand sides, f32 with solutions refined to f64; where
/// refinement does not converge, the f64 factor is made after all. Memory: the factor (see
/// factor_space.h), or half as much and three copies of the right-hand sides.
class DampedSolver {
 public:
  /// For an f32 or f64 matrix h [n, n], lower triangle; `lent`: it may be overwritten meanwhile.
  DampedSolver(CudaBackend& backend, const ConstView& h, double lambda, bool lent);

  /// Makes the factor for `rows` right-hand sides to come. NUMERIC when h is not finite or h + λI
  /// not positive definite.
  Status factor(int64_t rows);

  /// Replaces each of `count` rows b of [count, n], all finite, by (h + λI)⁻¹ b.
  Status solve(double* rows, int64_t count);

 private:
  Status factor_wide();
  Status factor_narrow();
  Status refine(double* rows, int64_t count, bool& converged);
  Status correct(double* solution, double* residual, const double* rows, double* norms,
                 int64_t count);

  CudaBackend& backend_;
  ConstView h_;
  int64_t n_;
  double lambda_;
  bool lent_;
  FactorSpace wide_;
  std::unique_ptr<Scratch<float>> narrow_;  // while solutions are refined
  std::unique_ptr<Scratch<double>> scale_;  // [n]
  double norm_ = 0;                         // of the scaled matrix, for the end of refinement
};

}  // namespace espalier::cuda
