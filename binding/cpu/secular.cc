// Roots of w_0/τ = ψ(τ), ψ(τ) = Σ_{i>=1} w_i/(d_i - τ), on [0, d] with d the smallest d_i, i >= 1.
// ψ is replaced by s + r/(d - τ) with the same value and slope at the current τ, which leaves a
// quadratic equation. Every pole of ψ lies at or beyond d, so the replacement is never below ψ and
// its root never beyond the true one: from τ = w_0 d/Σw the iterates rise to the root,
// quadratically (the "approaching from the left" scheme of Bunch, Nielsen & Sorensen 1978). All
// sums have positive terms only, so nothing cancels. Vector lanes are columns: each has its own τ
// over the same d_i.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "binding/cpu/secular.cc"
#include "hwy/foreach_target.h"  // keeps its place before highway.h
#include "hwy/highway.h"
//
#include <omp.h>

#include <algorithm>

#include "binding/cpu/scratch.h"
#include "binding/cpu/secular.h"

HWY_BEFORE_NAMESPACE();
namespace espalier::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// Columns solved together: whole vectors on every target.
constexpr int64_t kColumns = 16;
// Smallest distance to a pole; its inverse square stays finite.
constexpr double kTiny = 1e-140;
constexpr int kMostSteps = 60;
// A step this small, of a quadratically convergent sequence, ends beyond double precision.
constexpr double kLastStep = 1e-10;

// Weights and distances of one block of columns, [terms, kColumns]; row 0 is the pole at 0. Columns
// beyond n have no weight, which makes their root 0.
struct Block {
  double* weights;
  double* distances;
};

void load_block(const SecularProblem& p, int64_t start, const Block& block) {
  const int64_t count = std::min(kColumns, p.n - start);
  for (int64_t i = 0; i < p.k + p.extra; ++i) {
    double* weight = block.weights + i * kColumns;
    double* distance = block.distances + i * kColumns;
    const bool shared = i < p.k;
    const double factor = shared && p.factors != nullptr ? p.factors[i] : 1.0;
    const int64_t from = shared ? i * p.stride + start : (i - p.k) * p.n + start;
    for (int64_t c = 0; c < kColumns; ++c) {
      const bool inside = c < count;
      if (shared) {
        const double v = inside ? p.vectors[from + c] : 0;
        weight[c] = factor * v * v;
        distance[c] = p.distances[i];
      } else {
        weight[c] = inside ? p.extra_weights[from + c] : 0;
        distance[c] = inside ? p.extra_distances[from + c] : 1;
      }
    }
  }
}

void solve_block(const Block& block, int64_t terms, double* roots) {
  const hn::ScalableTag<double> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto tiny = hn::Set(d, kTiny);
  const auto smallest = hn::Set(d, 1e-300);
  for (int64_t c = 0; c < kColumns; c += lanes) {
    const double* weights = block.weights + c;
    const double* distances = block.distances + c;
    const auto first = hn::LoadU(d, weights);
    auto total = first;
    auto nearest = hn::LoadU(d, distances + kColumns);
    for (int64_t i = 1; i < terms; ++i) {
      total = hn::Add(total, hn::LoadU(d, weights + i * kColumns));
      nearest = hn::Min(nearest, hn::LoadU(d, distances + i * kColumns));
    }
    auto root = hn::Mul(nearest, hn::Div(first, hn::Max(total, smallest)));
    for (int step = 0; step < kMostSteps; ++step) {
      auto value = hn::Zero(d);
      auto slope = hn::Zero(d);
      for (int64_t i = 1; i < terms; ++i) {
        const auto gap = hn::Max(hn::Sub(hn::LoadU(d, distances + i * kColumns), root), tiny);
        const auto inverse = hn::Div(hn::Set(d, 1.0), gap);
        const auto term = hn::Mul(hn::LoadU(d, weights + i * kColumns), inverse);
        value = hn::Add(value, term);
        slope = hn::MulAdd(term, inverse, slope);
      }
      const auto gap = hn::Sub(nearest, root);
      const auto sloped = hn::Mul(slope, gap);
      const auto r = hn::Mul(sloped, gap);
      const auto u = hn::Mul(hn::Max(hn::Sub(value, sloped), hn::Zero(d)), nearest);
      const auto both = hn::Add(first, u);
      const auto difference = hn::Sub(first, u);
      const auto discriminant =
          hn::MulAdd(r, hn::Add(r, hn::Add(both, both)), hn::Mul(difference, difference));
      const auto divisor = hn::Add(hn::Add(both, r), hn::Sqrt(discriminant));
      const auto numerator = hn::Mul(hn::Add(first, first), nearest);
      const auto next =
          hn::Min(hn::Max(hn::Div(numerator, hn::Max(divisor, smallest)), root), nearest);
      const auto moved = hn::Gt(hn::Sub(next, root), hn::Mul(next, hn::Set(d, kLastStep)));
      root = next;
      if (hn::AllFalse(d, moved)) break;
    }
    hn::StoreU(root, d, roots + c);
  }
}

void solve(const SecularProblem& p, double* scratch, double* roots) {
  const int64_t terms = p.k + p.extra;
  const int64_t blocks = (p.n + kColumns - 1) / kColumns;
#pragma omp parallel for schedule(static)
  for (int64_t b = 0; b < blocks; ++b) {
    double* weights = scratch + omp_get_thread_num() * 2 * terms * kColumns;
    const Block block{weights, weights + terms * kColumns};
    load_block(p, b * kColumns, block);
    double solved[kColumns];
    solve_block(block, terms, solved);
    std::copy_n(solved, std::min(kColumns, p.n - b * kColumns), roots + b * kColumns);
  }
}

}  // namespace
}  // namespace espalier::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace espalier::cpu {

HWY_EXPORT(solve);

Status solve_secular(const SecularProblem& problem, double* roots) {
  constexpr int64_t kMostColumns = 16;
  const Scratch<double> scratch(
      static_cast<size_t>(2 * kMostColumns * omp_get_max_threads() * (problem.k + problem.extra)));
  if (scratch.data() == nullptr) return out_of_scratch();
  HWY_DYNAMIC_DISPATCH(solve)(problem, scratch.data(), roots);
  return {};
}

}  // namespace espalier::cpu
#endif
