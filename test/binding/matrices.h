// Small dense matrices in long double, the brute force that factorisations are tested against.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <stdexcept>
#include <vector>

#include "test/binding/devices.h"

namespace espalier::test {

/// A row-major matrix in extended precision.
struct Matrix {
  int64_t rows = 0;
  int64_t columns = 0;
  std::vector<long double> values;

  /// Zeros.
  Matrix(int64_t r, int64_t c) : rows(r), columns(c), values(static_cast<size_t>(r * c)) {}
  /// From the values of a tensor.
  template <class T>
  Matrix(int64_t r, int64_t c, const std::vector<T>& v)
      : rows(r), columns(c), values(v.begin(), v.end()) {}

  /// Element (i, j).
  long double& at(int64_t i, int64_t j) { return values[static_cast<size_t>(i * columns + j)]; }
  /// Element (i, j).
  [[nodiscard]] long double at(int64_t i, int64_t j) const {
    return values[static_cast<size_t>(i * columns + j)];
  }
  /// Rounded to double.
  [[nodiscard]] std::vector<double> doubles() const { return {values.begin(), values.end()}; }
  /// Rounded to float.
  [[nodiscard]] std::vector<float> floats() const { return {values.begin(), values.end()}; }
};

/// Independent normal values.
inline Matrix random_matrix(int64_t rows, int64_t columns, uint32_t seed) {
  return {rows, columns, random_values(static_cast<size_t>(rows * columns), seed)};
}

/// a b.
inline Matrix product(const Matrix& a, const Matrix& b) {
  Matrix c(a.rows, b.columns);
  for (int64_t i = 0; i < a.rows; ++i) {
    for (int64_t k = 0; k < a.columns; ++k) {
      for (int64_t j = 0; j < b.columns; ++j) c.at(i, j) += a.at(i, k) * b.at(k, j);
    }
  }
  return c;
}

/// aᵀ.
inline Matrix transposed(const Matrix& a) {
  Matrix t(a.columns, a.rows);
  for (int64_t i = 0; i < a.rows; ++i) {
    for (int64_t j = 0; j < a.columns; ++j) t.at(j, i) = a.at(i, j);
  }
  return t;
}

/// a + scale · b.
inline Matrix sum(Matrix a, const Matrix& b, long double scale = 1) {
  for (size_t i = 0; i < a.values.size(); ++i) a.values[i] += scale * b.values[i];
  return a;
}

/// aᵀ a, rounded to double so that a tensor can hold exactly this matrix.
inline Matrix gram_of(const Matrix& a) {
  const Matrix g = product(transposed(a), a);
  return {g.rows, g.columns, g.doubles()};
}

/// a + factor · mean(diag a) · I.
inline Matrix damped(Matrix a, long double factor) {
  long double mean = 0;
  for (int64_t i = 0; i < a.rows; ++i) mean += a.at(i, i) / static_cast<long double>(a.rows);
  for (int64_t i = 0; i < a.rows; ++i) a.at(i, i) += factor * mean;
  return a;
}

/// a without row and column `index`.
inline Matrix minor_of(const Matrix& a, int64_t index) {
  Matrix m(a.rows - 1, a.columns - 1);
  for (int64_t i = 0; i < m.rows; ++i) {
    for (int64_t j = 0; j < m.columns; ++j) {
      m.at(i, j) = a.at(i + (i >= index ? 1 : 0), j + (j >= index ? 1 : 0));
    }
  }
  return m;
}

/// Columns [start, start + count).
inline Matrix columns_of(const Matrix& a, int64_t start, int64_t count) {
  Matrix c(a.rows, count);
  for (int64_t i = 0; i < a.rows; ++i) {
    for (int64_t j = 0; j < count; ++j) c.at(i, j) = a.at(i, start + j);
  }
  return c;
}

/// a without columns [start, start + count).
inline Matrix without_columns(const Matrix& a, int64_t start, int64_t count) {
  Matrix c(a.rows, a.columns - count);
  for (int64_t i = 0; i < a.rows; ++i) {
    for (int64_t j = 0; j < c.columns; ++j) c.at(i, j) = a.at(i, j < start ? j : j + count);
  }
  return c;
}

/// a⁻¹ b by Gauss-Jordan elimination with row pivoting.
inline Matrix solved(Matrix a, Matrix b) {
  const int64_t n = a.rows;
  for (int64_t k = 0; k < n; ++k) {
    int64_t pivot = k;
    for (int64_t i = k + 1; i < n; ++i) {
      if (std::abs(a.at(i, k)) > std::abs(a.at(pivot, k))) pivot = i;
    }
    if (a.at(pivot, k) == 0) throw std::runtime_error("singular");
    for (int64_t j = 0; j < n; ++j) std::swap(a.at(k, j), a.at(pivot, j));
    for (int64_t j = 0; j < b.columns; ++j) std::swap(b.at(k, j), b.at(pivot, j));
    for (int64_t i = 0; i < n; ++i) {
      if (i == k) continue;
      const long double factor = a.at(i, k) / a.at(k, k);
      for (int64_t j = k; j < n; ++j) a.at(i, j) -= factor * a.at(k, j);
      for (int64_t j = 0; j < b.columns; ++j) b.at(i, j) -= factor * b.at(k, j);
    }
  }
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < b.columns; ++j) b.at(i, j) /= a.at(i, i);
  }
  return b;
}

/// Σ of squares.
inline long double squares(const Matrix& a) {
  long double total = 0;
  for (const long double v : a.values) total += v * v;
  return total;
}

/// Eigenvalues of a symmetric matrix, ascending, by cyclic Jacobi rotations.
inline std::vector<long double> eigenvalues(Matrix a) {
  const int64_t n = a.rows;
  for (int sweep = 0; sweep < 100; ++sweep) {
    bool rotated = false;
    for (int64_t p = 0; p < n; ++p) {
      for (int64_t q = p + 1; q < n; ++q) {
        const long double off = a.at(p, q);
        const long double size = std::sqrt(std::abs(a.at(p, p) * a.at(q, q)));
        if (off == 0 || std::abs(off) <= 1e-18L * size) continue;
        rotated = true;
        const long double theta = (a.at(q, q) - a.at(p, p)) / (2 * off);
        const long double t =
            (theta >= 0 ? 1 : -1) / (std::abs(theta) + std::sqrt(theta * theta + 1));
        const long double c = 1 / std::sqrt(t * t + 1);
        const long double s = t * c;
        for (int64_t k = 0; k < n; ++k) {
          const long double kp = a.at(k, p);
          const long double kq = a.at(k, q);
          a.at(k, p) = c * kp - s * kq;
          a.at(k, q) = s * kp + c * kq;
        }
        for (int64_t k = 0; k < n; ++k) {
          const long double pk = a.at(p, k);
          const long double qk = a.at(q, k);
          a.at(p, k) = c * pk - s * qk;
          a.at(q, k) = s * pk + c * qk;
        }
      }
    }
    if (!rotated) break;
  }
  std::vector<long double> values;
  for (int64_t i = 0; i < n; ++i) values.push_back(a.at(i, i));
  std::ranges::sort(values);
  return values;
}

/// An f64 tensor.
inline Tensor upload(Device& device, const Matrix& matrix) {
  return upload(device, matrix.doubles(), Shape{matrix.rows, matrix.columns}, DType::f64);
}

/// Largest |got - expected| / max |expected|; NaN when sizes differ or got holds NaN.
inline double relative_error(const std::vector<double>& got,
                             const std::vector<long double>& expected) {
  if (got.size() != expected.size()) return std::nan("");
  long double error = 0;
  long double size = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    if (std::isnan(got[i])) return std::nan("");
    error = std::max(error, std::abs(got[i] - expected[i]));
    size = std::max(size, std::abs(expected[i]));
  }
  return static_cast<double>(size > 0 ? error / size : error);
}

/// Largest |got_i - expected_i| / |expected_i|.
inline double elementwise_error(const std::vector<double>& got,
                                const std::vector<long double>& expected) {
  if (got.size() != expected.size()) return std::nan("");
  long double error = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    if (std::isnan(got[i])) return std::nan("");
    if (got[i] == static_cast<double>(expected[i])) continue;
    error = std::max(error, std::abs(got[i] - expected[i]) / std::abs(expected[i]));
  }
  return static_cast<double>(error);
}

/// The failure that reading `tensor` reports.
inline ErrorCode read_code(const Tensor& tensor) {
  std::vector<double> values;
  return download(tensor, values).code();
}

}  // namespace espalier::test
