// The dense product that the ops with weights share.
#pragma once

#include <cstdint>

#include "cuda/cuda_backend.h"
#include "cuda/tile_product.h"

namespace espalier::cuda {

/// A matrix in memory as a factor of a product.
struct Factor {
  const void* data = nullptr;  ///< f32, bf16 or f16
  DType dtype = DType::f32;    ///< of data
  int64_t stride = 0;          ///< elements from one stored row to the next
  bool transposed = false;     ///< the product sees the transpose of what is stored
};

/// c = alpha a b + beta c + bias, with a [m, k], b [k, n] as the product sees them; sums in f32.
struct Product {
  int64_t m = 0;                      ///< rows of c
  int64_t n = 0;                      ///< columns of c
  int64_t k = 0;                      ///< length of a sum; 0 gives beta c + bias
  Factor a;                           ///< [m, k]
  Factor b;                           ///< [k, n]
  float* c = nullptr;                 ///< f32 [m, n]
  int64_t c_stride = 0;               ///< elements from one row of c to the next
  float alpha = 1.0F;                 ///< factor on a b
  float beta = 0.0F;                  ///< factor on c; 0: c is not read
  ConstView bias;                     ///< weight dtype [n], or not given
  Products products = Products::f32;  ///< f32: exact factors; bf16: both rounded to bf16
};

/// Queues the product. Same arguments on the same card give the same bits.
Status multiply(CudaBackend& backend, const Product& product);

/// The same for a product with an extra term; its other term has no dropout, and no lists or
/// mask either when products are bf16. Where there is an extra term the other's factor is 1.
Status multiply(CudaBackend& backend, const TileProduct& product, Products products);

}  // namespace espalier::cuda
