// Roots of w_0/τ = Σ_{i>=1} w_i/(d_i - τ) on [0, d], d the smallest d_i, i >= 1, for each column j
// of vectors [k, n], w_i = factors_i vectors_ij². The sum is replaced by s + r/(d - τ) with the
// same value and slope at the current τ, which leaves a quadratic equation; from τ = w_0 d/Σw the
// iterates rise to the root, quadratically, and all sums are of positive terms (why: see
// binding/cpu/secular.cc). Everything is f64.
//
// Eight threads share a column: each sums every eighth term, all of them make the same step. A step
// reads the vectors once, neighbouring columns together. A block goes on until its slowest column
// stands still.
#include "cuda/column_block.h"
#include "cuda/secular.h"

namespace espalier::cuda {
namespace {

// Smallest distance to a pole; its inverse square stays finite.
constexpr double kTiny = 1e-140;
constexpr double kSmallest = 1e-300;
constexpr int kMostSteps = 60;
// A step this small, of a quadratically convergent sequence, ends beyond double precision.
constexpr double kLastStep = 1e-10;

// One pole as one column sees it.
struct Term {
  double weight, distance;
};

__device__ inline Term term_of(const SecularProblem& p, int64_t i, int64_t column) {
  if (i < p.k) {
    const double v = p.vectors[i * p.stride + column];
    return {(p.factors != nullptr ? p.factors[i] : 1.0) * v * v, p.distances[i]};
  }
  const int64_t at = (i - p.k) * p.n + column;
  return {p.extra_weights[at], p.extra_distances[at]};
}

// The root of the replacement: `first` = w_0, `value` and `slope` of the sum at `root`, `nearest` =
// d.
__device__ inline double next_root(double first, double value, double slope, double nearest,
                                   double root) {
  const double gap = nearest - root;
  const double sloped = slope * gap;
  const double r = sloped * gap;
  const double u = fmax(value - sloped, 0.0) * nearest;
  const double both = first + u;
  const double difference = first - u;
  const double discriminant = r * (r + 2 * both) + difference * difference;
  const double divisor = both + r + sqrt(discriminant);
  return fmin(fmax(2 * first * nearest / fmax(divisor, kSmallest), root), nearest);
}

__global__ void solve_columns(SecularProblem p, double* roots) {
  __shared__ double scratch[kDown][kAcross];
  const int64_t column = block_column();
  // Threads beyond the last column follow it, so that all of a block meet at its barriers.
  const int64_t mine = column < p.n ? column : p.n - 1;
  const int64_t terms = p.k + p.extra;
  const double first = term_of(p, 0, mine).weight;
  double total = 0;
  double nearest = term_of(p, 1, mine).distance;
  for (int64_t i = p.k; i < terms; ++i) nearest = fmin(nearest, term_of(p, i, mine).distance);
  for (int64_t i = 1 + threadIdx.y; i < terms; i += kDown) total += term_of(p, i, mine).weight;
  total = first + column_sum(total, scratch);
  double root = nearest * (first / fmax(total, kSmallest));
  for (int step = 0; step < kMostSteps; ++step) {
    double value = 0;
    double slope = 0;
    for (int64_t i = 1 + threadIdx.y; i < terms; i += kDown) {
      const Term term = term_of(p, i, mine);
      const double inverse = 1 / fmax(term.distance - root, kTiny);
      const double part = term.weight * inverse;
      value += part;
      slope += part * inverse;
    }
    value = column_sum(value, scratch);
    slope = column_sum(slope, scratch);
    const double next = next_root(first, value, slope, nearest, root);
    const bool moved = next - root > kLastStep * next;
    root = next;
    if (__syncthreads_or(moved ? 1 : 0) == 0) break;
  }
  if (threadIdx.y == 0 && column < p.n) roots[column] = root;
}

}  // namespace

Status solve_secular(const CudaBackend& backend, const SecularProblem& problem, double* roots) {
  return launch(solve_columns, column_grid(problem.n), backend.stream(), problem, roots);
}

}  // namespace espalier::cuda
