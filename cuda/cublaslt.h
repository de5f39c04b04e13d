// NVIDIA's library of dense products, where it can be found.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "cuda/cuda_backend.h"
#include "cuda/tile_product.h"

namespace espalier::cuda {

struct CublasLtApi;
struct CublasLtPlan;

/// cuBLASLt, opened when it is first wanted, or the knowledge that it is missing. Belongs to one
/// backend and is used on its dispatcher thread alone.
class CublasLt {
 public:
  /// Looks for the library and begins to use it on the current device.
  CublasLt();
  CublasLt(const CublasLt&) = delete;
  CublasLt& operator=(const CublasLt&) = delete;
  ~CublasLt();

  /// Whether products of these sizes gain by the library: it is there, and no side is thin. Thin
  /// products are bound by reading the wide factor, which our kernels do as it is stored.
  [[nodiscard]] bool wants(int64_t m, int64_t n, int64_t k) const;

  /// Queues a product whose factors are both f32 or both bf16, without lists, mask, dropout and
  /// extra term. Sets `queued` to false, and does nothing, where the library has no way to do it.
  /// Sums are f32; f32 factors are never rounded. Same arguments on the same card give the same
  /// bits.
  Status multiply(CudaBackend& backend, const TileProduct& product, bool& queued);

 private:
  // Everything that the choice of an algorithm depends on.
  using Key = std::array<int64_t, 13>;

  CublasLtPlan* plan_for(CudaBackend& backend, const Key& key, const TileProduct& product,
                         const float* bias);

  std::unique_ptr<CublasLtApi> api_;
  void* handle_ = nullptr;  // null: the library is not used
  std::map<Key, std::unique_ptr<CublasLtPlan>> plans_;
};

/// One line for people: which library multiplies, from where, or why none does and our own kernels
/// do. Makes no context.
std::string describe_cublaslt();

}  // namespace espalier::cuda
