// Visits the elements below the diagonal of a square matrix, each with its mirror image.
#pragma once

#include <cstdint>

#include "cuda/cuda_backend.h"
#include "cuda/launch.h"

namespace espalier::cuda {

/// Threads of a block are a square of this side, so that both sides of the diagonal are reached in
/// whole lines of 128 bytes.
constexpr int kMirrorSide = 16;
/// Elements of a block's tile along a side.
constexpr int kMirrorTile = 64;

/// for_each_mirrored's device code.
template <class Body>
__global__ void mirror_kernel(int64_t n, Body body) {
  if (blockIdx.x > blockIdx.y) return;
  const int64_t top = static_cast<int64_t>(blockIdx.y) * kMirrorTile;
  const int64_t left = static_cast<int64_t>(blockIdx.x) * kMirrorTile;
  for (int64_t i = top + threadIdx.y; i < top + kMirrorTile && i < n; i += kMirrorSide) {
    for (int64_t j = left + threadIdx.x; j < left + kMirrorTile && j < i; j += kMirrorSide) {
      body(i, j);
    }
  }
}

/// Queues body(i, j) for all 0 <= j < i < n.
template <class Body>
Status for_each_mirrored(const CudaBackend& backend, int64_t n, Body body) {
  const auto side = static_cast<unsigned>((n + kMirrorTile - 1) / kMirrorTile);
  return launch(mirror_kernel<Body>,
                {.blocks = {side, side}, .threads = {kMirrorSide, kMirrorSide}}, backend.stream(),
                n, body);
}

}  // namespace espalier::cuda
