// The secular equation of a symmetric matrix that loses one row and column, for all columns at
// once.
#pragma once

#include "binding/core/secular_problem.h"
#include "binding/core/status.h"

namespace espalier::cpu {

/// The roots [n]. Monotone and quadratically convergent; k + extra >= 2. OUT_OF_MEMORY without room
/// for a few columns per thread.
Status solve_secular(const SecularProblem& problem, double* roots);

}  // namespace espalier::cpu
