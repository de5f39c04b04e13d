// c = alpha a b + beta c + bias, for every op with a dense product.
//   f32: factors are widened exactly and multiplied in f32 (never TF32).
//   bf16: factors are rounded to bf16 first, in one pass each where they are not stored so, because
//     every tile of a factor is read many times.
// Products without a thin side go to cuBLASLt where it can be found, and to our kernels otherwise.
#include <algorithm>
#include <cstring>

#include "cuda/cublaslt.h"
#include "cuda/device.h"
#include "cuda/launch.h"
#include "cuda/product.h"
#include "cuda/scratch.h"
#include "cuda/tensor_product.h"

namespace espalier::cuda {
namespace {

// target[i, :] = source[i, :] in another type, for `rows` rows of `width` elements; eight elements
// a thread. Rows of the target begin at multiples of 16 bytes; with `aligned` those of the source
// too.
template <class Source, class Target>
__global__ void convert_rows_kernel(const Source* source, int64_t source_stride, int64_t rows,
                                    int64_t width, bool aligned, Target* target,
                                    int64_t target_stride) {
  constexpr int kRead = sizeof(uint4) / sizeof(Source);
  constexpr int kWritten = sizeof(uint4) / sizeof(Target);
  for (int64_t row = blockIdx.y; row < rows; row += gridDim.y) {
    for (int64_t column = 8 * global_thread(); column < width; column += 8 * global_threads()) {
      const Source* from = source + row * source_stride + column;
      Source stored[8] = {};
      if (aligned && column + 8 <= width) {
#pragma unroll
        for (int e = 0; e < 8; e += kRead) {
          const uint4 vector = *reinterpret_cast<const uint4*>(from + e);
          std::memcpy(stored + e, &vector, sizeof(vector));
        }
      } else {
#pragma unroll
        for (int e = 0; e < 8; ++e) {
          if (column + e < width) stored[e] = from[e];
        }
      }
      Target values[8];
#pragma unroll
      for (int e = 0; e < 8; ++e) values[e] = from_float<Target>(to_float(stored[e]));
      Target* to = target + row * target_stride + column;
#pragma unroll
      for (int e = 0; e < 8; e += kWritten) {
        uint4 vector;
        std::memcpy(&vector, values + e, sizeof(vector));
        *reinterpret_cast<uint4*>(to + e) = vector;
      }
    }
  }
}

// A factor in the type of Target, f32 or bf16: itself, or a copy. The rows of a bf16 one begin at
// multiples of 16 bytes.
template <class Target>
class ConvertedFactor {
  static constexpr DType kType = sizeof(Target) == 4 ? DType::f32 : DType::bf16;

 public:
  // For a factor with `outer` rows or columns, summed over `inner`.
  ConvertedFactor(CudaBackend& backend, const TileFactor& factor, int64_t outer, int64_t inner)
      : backend_(backend),
        source_(factor),
        rows_(factor.inner_contiguous ? outer : inner),
        width_(factor.inner_contiguous ? inner : outer),
        in_place_(factor.dtype == kType &&
                  (kType == DType::f32 ||
                   (factor.stride % 8 == 0 && reinterpret_cast<uintptr_t>(factor.data) % 16 == 0))),
        stride_(in_place_ ? factor.stride : (width_ + 7) / 8 * 8),
        copy_(backend, static_cast<size_t>(in_place_ ? 0 : rows_ * stride_)) {}

  // Queues the copy if there has to be one.
  Status prepare() {
    if (copy_.data() == nullptr) return out_of_scratch();
    if (in_place_) return {};
    return with_weight_type(source_.dtype, [&](auto type) {
      using Source = decltype(type);
      const bool aligned = source_.stride % (16 / sizeof(Source)) == 0 &&
                           reinterpret_cast<uintptr_t>(source_.data) % 16 == 0;
      return launch(convert_rows_kernel<Source, Target>,
                    {.blocks = blocks_for_matrix(rows_, stride_ / 8, 128), .threads = 128},
                    backend_.stream(), static_cast<const Source*>(source_.data), source_.stride,
                    rows_, width_, aligned, copy_.data(), stride_);
    });
  }

  [[nodiscard]] TileFactor factor() const {
    return {.data = in_place_ ? source_.data : copy_.data(),
            .dtype = kType,
            .stride = stride_,
            .inner_contiguous = source_.inner_contiguous};
  }

 private:
  CudaBackend& backend_;
  const TileFactor& source_;
  int64_t rows_;
  int64_t width_;
  bool in_place_;
  int64_t stride_;
  Scratch<Target> copy_;
};

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
constexpr int kTensorBf16 = 80;

Status multiply_bf16(CudaBackend& backend, const TileProduct& p) {
  return backend.compute_capability() < kTensorBf16 ? tile_product(backend, p)
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
