#include "binding/cpu/block_lanczos.h"

#include <algorithm>
#include <cmath>

#include "binding/cpu/decompose.h"
#include "binding/cpu/factor.h"
#include "binding/cpu/lapack.h"

namespace espalier::cpu {
namespace {

constexpr double kOne = 1;
constexpr double kZero = 0;
constexpr double kMinusOne = -1;
// Below this part of the operator's size a new direction is rounding noise.
constexpr double kNegligible = 1e-13;

double dot(const double* a, const double* b, int64_t n) {
  double total = 0;
#pragma omp simd reduction(+ : total)
  for (int64_t i = 0; i < n; ++i) total += a[i] * b[i];
  return total;
}

void subtract(double* a, double factor, const double* b, int64_t n) {
  for (int64_t i = 0; i < n; ++i) a[i] -= factor * b[i];
}

}  // namespace

BlockLanczos::BlockLanczos(int64_t n, int64_t most)
    : n_(n),
      most_(std::min(n, most)),
      basis_(static_cast<size_t>(most_ * n)),
      remainder_(static_cast<size_t>(kBlock * n)),
      projected_(static_cast<size_t>(most_ * most_)),
      rotations_(static_cast<size_t>(most_ * most_)),
      values_(static_cast<size_t>(most_)),
      coefficients_(static_cast<size_t>(2 * kBlock * most_)) {}

bool BlockLanczos::allocated() const {
  return basis_.data() != nullptr && remainder_.data() != nullptr && projected_.data() != nullptr &&
         rotations_.data() != nullptr && values_.data() != nullptr &&
         coefficients_.data() != nullptr;
}

void BlockLanczos::randomise(double* vector) {
  for (int64_t i = 0; i < n_; ++i) {  // xorshift64*, uniform in [-1, 1)
    random_ ^= random_ >> 12;
    random_ ^= random_ << 25;
    random_ ^= random_ >> 27;
    vector[i] =
        static_cast<double>(static_cast<int64_t>(random_ * 0x2545f4914f6cdd1dU) >> 11) * 0x1p-52;
  }
}

// coefficients [count, most] = vectors basisᵀ, and what they describe is taken from the vectors. To
// Fortran the basis is [n, size] by columns.
void BlockLanczos::project_out(double* vectors, int64_t count, double* coefficients) const {
  const auto n = static_cast<LapackInt>(n_);
  const auto size = static_cast<LapackInt>(size_);
  const auto columns = static_cast<LapackInt>(count);
  const auto stride = static_cast<LapackInt>(most_);
  if (size == 0) return;
  dgemm_("T", "N", &size, &columns, &n, &kOne, basis_.data(), &n, vectors, &n, &kZero, coefficients,
         &stride);
  dgemm_("N", "N", &n, &columns, &size, &kMinusOne, basis_.data(), &n, coefficients, &stride, &kOne,
         vectors, &n);
}

// Makes the next block at basis row size_ out of the remainder: orthonormal, orthogonal to the
// basis, and random where the remainder gives out.
void BlockLanczos::orthonormalise() {
  width_ = std::min(kBlock, most_ - size_);
  double* block = basis_.data() + size_ * n_;
  for (int64_t c = 0; c < width_; ++c) {
    double* v = block + c * n_;
    bool accepted = false;
    if (c < last_width_) {
      std::copy_n(remainder_.data() + c * n_, n_, v);
      for (int64_t k = 0; k < c; ++k) subtract(v, dot(v, block + k * n_, n_), block + k * n_, n_);
      accepted = std::sqrt(dot(v, v, n_)) > kNegligible * scale_;
    }
    if (!accepted) randomise(v);
    for (int pass = 0; pass < 3; ++pass) {
      const double norm = std::sqrt(dot(v, v, n_));
      for (int64_t i = 0; i < n_; ++i) v[i] /= norm;
      if (pass == 2) break;
      project_out(v, 1, coefficients_.data());
      for (int64_t k = 0; k < c; ++k) subtract(v, dot(v, block + k * n_, n_), block + k * n_, n_);
    }
  }
}

Status BlockLanczos::extend(int64_t size, const SymmetricOperator& apply) {
  const int64_t target = std::min(size, most_);
  while (size_ < target) {
    orthonormalise();
    double* product = remainder_.data();
    apply(basis_.data() + size_ * n_, product, width_);
    if (!all_finite(product, width_ * n_)) return not_finite("a product with the matrix");
    for (int64_t c = 0; c < width_; ++c) {
      scale_ = std::max(scale_, std::sqrt(dot(product + c * n_, product + c * n_, n_)));
    }
    const int64_t first = size_;
    size_ += width_;
    last_width_ = width_;
    // The second projection removes what rounding left of the first.
    double* once = coefficients_.data();
    double* twice = once + kBlock * most_;
    project_out(product, width_, once);
    project_out(product, width_, twice);
    for (int64_t c = 0; c < width_; ++c) {
      for (int64_t i = 0; i <= first + c; ++i) {
        projected_.data()[(first + c) * most_ + i] = once[c * most_ + i] + twice[c * most_ + i];
      }
    }
  }
  return find_ritz_pairs();
}

Status BlockLanczos::find_ritz_pairs() {
  for (int64_t i = 0; i < size_; ++i) {
    std::copy_n(projected_.data() + i * most_, i + 1, rotations_.data() + i * size_);
    if (!all_finite(rotations_.data() + i * size_, i + 1)) return not_finite("the projection");
  }
  return decompose_symmetric(rotations_.data(), size_, values_.data(), true);
}

double BlockLanczos::residual(int64_t i) const {
  // Everything but the last block's products lies in the basis.
  const double* last = rotations_.data() + (size_ - i) * size_ - last_width_;
  double total = 0;
  for (int64_t a = 0; a < last_width_; ++a) {
    for (int64_t b = 0; b < last_width_; ++b) {
      total += last[a] * last[b] * dot(remainder_.data() + a * n_, remainder_.data() + b * n_, n_);
    }
  }
  return std::sqrt(std::max(total, 0.0));
}

void BlockLanczos::vectors(int64_t count, double* target) const {
  const auto n = static_cast<LapackInt>(n_);
  const auto size = static_cast<LapackInt>(size_);
  const auto columns = static_cast<LapackInt>(count);
  dgemm_("N", "N", &n, &columns, &size, &kOne, basis_.data(), &n,
         rotations_.data() + (size_ - count) * size_, &size, &kZero, target, &n);
}

}  // namespace espalier::cpu
