// Products of bf16 factors on tensor cores.
#pragma once

#include "cuda/cuda_backend.h"
#include "cuda/tile_product.h"

namespace espalier::cuda {

/// Queues a product whose term has bf16 factors without lists, mask and dropout, the rows of which
/// begin at multiples of 16 bytes. `extra` is summed in f32 from f32 factors without those, and
/// the term's own factor is 1 beside it. Needs a compute capability of 8.0. How sums are split
/// depends on m, n, k and the card alone.
Status tensor_product(CudaBackend& backend, const TileProduct& product);

}  // namespace espalier::cuda
