// The sentences of NUMERIC failures, the same on every backend.
#pragma once

#include <cstdint>
#include <string>

#include "binding/core/status.h"

namespace espalier {

/// "<name> holds NaN or infinity".
inline Status not_finite(const std::string& name) {
  return {ErrorCode::numeric, name + " holds NaN or infinity"};
}

/// A damped matrix of order `n` whose leading minor of order `minor` is not positive definite.
inline Status not_positive_definite(int64_t n, int64_t minor) {
  return {ErrorCode::numeric, "the damped matrix of order " + std::to_string(n) +
                                  " is not positive definite: its leading minor of order " +
                                  std::to_string(minor) + " is not"};
}

/// A triangular factor whose diagonal is zero at `row`, counted from 1.
inline Status singular_factor(int64_t row) {
  return {ErrorCode::numeric, "the factor is singular at row " + std::to_string(row)};
}

/// A diagonal block of an inverse, which rounding has made indefinite at `column`.
inline Status inverse_not_positive_definite(int64_t column) {
  return {ErrorCode::numeric,
          "the inverse is not positive definite at column " + std::to_string(column)};
}

/// "<what> did not converge (<routine>: <info>)".
inline Status not_converged(const std::string& what, const std::string& routine, int64_t info) {
  return {ErrorCode::numeric,
          what + " did not converge (" + routine + ": " + std::to_string(info) + ")"};
}

/// A matrix with an eigenvalue below zero by more than rounding.
inline Status not_semi_definite(double smallest) {
  return {ErrorCode::numeric,
          "h is not positive semi-definite: its smallest damped eigenvalue is " +
              std::to_string(smallest)};
}

}  // namespace espalier
