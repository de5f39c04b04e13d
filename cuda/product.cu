// c = alpha a b + beta c + bias, for every op with a dense product.
//   f32: factors are widened exactly and multiplied in f32 (never TF32).
//   bf16: factors are rounded to bf16 first, in one pass each where they are not stored so, because
//     every tile of a factor is read many times.
// Products without a thin side go to cuBLASLt where it can be found, and to our kernels otherwise.
#include <algorithm>

#include "cuda/converted_factor.h"
#include "cuda/cublaslt.h"
#include "cuda/fragments.h"
#include "cuda/product.h"
#include "cuda/tensor_product.h"

namespace espalier::cuda {
namespace {

// The first element of a second factor's columns from `column` on.
const void* advanced(const TileFactor& b, int64_t column) {
  const int64_t elements = b.inner_contiguous ? column * b.stride : column;
  return static_cast<const char*>(b.data) + static_cast<size_t>(elements) * size_of(b.dtype);
}

TileProduct tiles_of(const Product& p) {
  return {.m = p.m,
          .n = p.n,
          .term = {.a = {.data = p.a.data,
                         .dtype = p.a.dtype,
                         .stride = p.a.stride,
                         .inner_contiguous = !p.a.transposed},
                   .b = {.data = p.b.data,
                         .dtype = p.b.dtype,
                         .stride = p.b.stride,
                         .inner_contiguous = p.b.transposed},
                   .k = p.k,
                   .factor = p.alpha},
          .extra = {},
          .extra_dropout = {},
          .list = {},
          .out = {.c = p.c,
                  .stride = p.c_stride,
                  .beta = p.beta,
                  .bias = p.bias.data,
                  .bias_dtype = p.bias.dtype}};
}

// Queues the extra term of a product that the library then does the rest of, bias and all.
Status extra_first(CudaBackend& backend, TileProduct& p) {
  if (p.extra.k == 0) return {};
  TileProduct first = p;
  first.term = {};
  p.extra = {};
  p.out.bias = nullptr;
  p.out.beta = 1;
  return tile_product(backend, first);
}

// A product by cuBLASLt of factors of one type; what it does not do is done by `own`.
template <class Own>
Status multiply_by_library(CudaBackend& backend, const TileProduct& p, Own&& own) {
  bool queued = false;
  Status status = backend.cublaslt().multiply(backend, p, queued);
  return !status.ok() || queued ? status : own(backend, p);
}

// The f32 kernel multiplies rounded factors where a card has no bf16 tensor cores.
Status multiply_bf16(CudaBackend& backend, const TileProduct& p) {
  return backend.compute_capability() < kFragmentsCapability ? tile_product(backend, p)
                                                             : tensor_product(backend, p);
}

Status multiply_rounded(CudaBackend& backend, const TileProduct& p) {
  ConvertedFactor<Bf16> a(backend, p.term.a, p.m, p.term.k);
  ConvertedFactor<Bf16> b(backend, p.term.b, p.n, p.term.k);
  if (Status status = a.prepare(); !status.ok()) return status;
  if (Status status = b.prepare(); !status.ok()) return status;
  TileProduct rounded = p;
  rounded.term.a = a.factor();
  rounded.term.b = b.factor();
  if (!backend.cublaslt().wants(p.m, p.n, p.term.k)) return multiply_bf16(backend, rounded);
  if (Status status = extra_first(backend, rounded); !status.ok()) return status;
  return multiply_by_library(backend, rounded, multiply_bf16);
}

// Most elements of the second factor that are held widened at once.
constexpr int64_t kPanelElements = int64_t{1} << 24;

// f32 products by cuBLASLt, a panel of columns of the result at a time. Panels are the same for
// every dtype, so that 16-bit factors give the bits of factors cast beforehand.
Status multiply_panels(CudaBackend& backend, TileProduct p) {
  if (Status status = extra_first(backend, p); !status.ok()) return status;
  ConvertedFactor<float> a(backend, p.term.a, p.m, p.term.k);
  if (Status status = a.prepare(); !status.ok()) return status;
  const int64_t width = std::max<int64_t>(64, kPanelElements / p.term.k / 64 * 64);
  for (int64_t column = 0; column < p.n; column += width) {
    TileProduct panel = p;
    panel.n = std::min(width, p.n - column);
    panel.term.b.data = advanced(p.term.b, column);
    panel.out.c += column;
    if (p.out.bias != nullptr) {
      panel.out.bias = static_cast<const char*>(p.out.bias) +
                       static_cast<size_t>(column) * size_of(p.out.bias_dtype);
    }
    ConvertedFactor<float> b(backend, panel.term.b, panel.n, p.term.k);
    if (Status status = b.prepare(); !status.ok()) return status;
    TileProduct widened = panel;
    widened.term.a = a.factor();
    widened.term.b = b.factor();
    Status status = multiply_by_library(backend, widened, tile_product);
    if (!status.ok()) return status;
  }
  return {};
}

bool is_plain(const TileProduct& p) {
  const TileFactor& a = p.term.a;
  const TileFactor& b = p.term.b;
  return a.inner_list == nullptr && a.outer_list == nullptr && b.inner_list == nullptr &&
         b.outer_list == nullptr && b.mask == nullptr && p.out.places == nullptr;
}

}  // namespace

Status multiply(CudaBackend& backend, const TileProduct& p, Products products) {
  if (p.m == 0 || p.n == 0) return {};
  if (products == Products::bf16 && p.term.k > 0) return multiply_rounded(backend, p);
  const bool library = is_plain(p) && backend.cublaslt().wants(p.m, p.n, p.term.k);
  return library ? multiply_panels(backend, p) : tile_product(backend, p);
}

Status multiply(CudaBackend& backend, const Product& p) {
  return multiply(backend, tiles_of(p), p.products);
}

}  // namespace espalier::cuda
