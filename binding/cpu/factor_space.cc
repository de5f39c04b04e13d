#include "binding/cpu/factor_space.h"

#include <algorithm>
#include <bit>

namespace espalier::cpu {
namespace {

// Smaller matrices are cheaper to copy than to compare and write back.
constexpr int64_t kSmallest = 1024;
constexpr int64_t kTile = 64;

// Calls body(i, j) for every element below the diagonal, in tiles whose mirror images stay in the
// first cache; the sum of what it returns.
template <class Body>
int64_t sum_below_diagonal(int64_t n, Body&& body) {
  int64_t sum = 0;
#pragma omp parallel for schedule(static, 1) reduction(+ : sum)
  for (int64_t top = 0; top < n; top += kTile) {
    for (int64_t left = 0; left <= top; left += kTile) {
      for (int64_t i = top; i < std::min(n, top + kTile); ++i) {
        for (int64_t j = left; j < std::min(i, left + kTile); ++j) sum += body(i, j);
      }
    }
  }
  return sum;
}

bool is_symmetric(const double* a, int64_t n) {
  const auto differ = [=](int64_t i, int64_t j) -> int64_t {
    return std::bit_cast<uint64_t>(a[i * n + j]) != std::bit_cast<uint64_t>(a[j * n + i]) ? 1 : 0;
  };
  return sum_below_diagonal(n, differ) == 0;
}

}  // namespace

FactorSpace::FactorSpace(const ConstView& matrix, bool lent) : n_(matrix.shape.columns()) {
  if (lent && n_ >= kSmallest && is_symmetric(matrix.as<double>(), n_)) {
    scratch_.emplace(static_cast<size_t>(n_));
    if (scratch_->data() == nullptr) return;
    matrix_ = const_cast<double*>(matrix.as<double>());
    for (int64_t i = 0; i < n_; ++i) scratch_->data()[i] = matrix_[i * n_ + i];
  } else {
    scratch_.emplace(static_cast<size_t>(n_ * n_));
  }
}

FactorSpace::~FactorSpace() {
  if (matrix_ == nullptr) return;
  sum_below_diagonal(n_, [this](int64_t i, int64_t j) -> int64_t {
    matrix_[i * n_ + j] = matrix_[j * n_ + i];
    return 0;
  });
  for (int64_t i = 0; i < n_; ++i) matrix_[i * n_ + i] = scratch_->data()[i];
}

double* FactorSpace::data() const { return matrix_ != nullptr ? matrix_ : scratch_->data(); }

}  // namespace espalier::cpu
