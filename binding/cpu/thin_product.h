// Products with a factor of few rows, such as LoRA's A and Bᵀ. The thin factor is [rank, width]
// everywhere, so that all three products walk along its rows. Several that share the wide matrix
// share its read.
#pragma once

#include <cstdint>
#include <span>

namespace espalier::cpu {

/// y[t, j] = Σ_l x[t, l] m[j, l].
struct ThinDots {
  const float* m;  ///< [rank, width]
  int64_t rank;
  float* y;  ///< [rows, rank]
};

/// Adds h m to what is expanded.
struct ThinExpansion {
  const float* h;  ///< [rows, rank]
  const float* m;  ///< [rank, width]
  int64_t rank;
};

/// d[j, l] = Σ_t g[t, j] x[t, l].
struct ThinGradient {
  const float* g;  ///< [rows, rank]
  int64_t rank;
  float* d;  ///< [rank, width]
};

/// Every product with x [rows, width]. Split over the OpenMP team by rows.
void thin_dots(const float* x, int64_t rows, int64_t width, std::span<const ThinDots> products);

/// y = the sum of the terms, or y += it when `accumulate`: y [rows, width]. Split over the OpenMP
/// team by tiles of y.
void thin_expand(std::span<const ThinExpansion> terms, int64_t rows, int64_t width, float* y,
                 bool accumulate);

/// Every gradient of x [rows, width], added to what d holds when `accumulate`. Split over the
/// OpenMP team by columns.
void thin_gradient(const float* x, int64_t rows, int64_t width,
                   std::span<const ThinGradient> gradients, bool accumulate);

}  // namespace espalier::cpu
