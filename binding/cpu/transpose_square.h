// Transposition of a square matrix in its own memory.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

namespace espalier::cpu {

/// a = aᵀ, a [n, n], in tiles that fit the first cache.
inline void transpose_square(double* a, int64_t n) {
  constexpr int64_t kTile = 32;
#pragma omp parallel for schedule(static, 1) if (n > 256)
  for (int64_t top = 0; top < n; top += kTile) {
    for (int64_t left = 0; left <= top; left += kTile) {
      for (int64_t i = top; i < std::min(n, top + kTile); ++i) {
        for (int64_t j = left; j < std::min(i, left + kTile); ++j) {
          std::swap(a[i * n + j], a[j * n + i]);
        }
      }
    }
  }
}

}  // namespace espalier::cpu
