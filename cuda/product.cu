// c = alpha a b + beta c + bias, for every op with a dense product.
//   f32: factors are widened exactly and multiplied in f32 (never TF32).
//   bf16: factors are rounded to bf16 first, in one pass each where they are not stored so, because
//     every tile of a factor is read many times.
#include "cuda/device.h"
#include "cuda/launch.h"
#include "cuda/product.h"
#include "cuda/scratch.h"
#include "cuda/tensor_product.h"

namespace espalier::cuda {
namespace {

// target[i, :] = bf16(source[i, :]) for `rows` rows of `width` elements; eight elements a thread.
template <class T>
__global__ void round_rows_kernel(const T* source, int64_t source_stride, int64_t rows,
                                  int64_t width, Bf16* target, int64_t target_stride) {
  const int64_t eights = (width + 7) / 8;
  for (int64_t at = global_thread(); at < rows * eights; at += global_threads()) {
    const int64_t row = at / eights;
    const int64_t column = at % eights * 8;
    const T* from = source + row * source_stride + column;
    uint32_t words[4] = {};
#pragma unroll
    for (int e = 0; e < 8; ++e) {
      if (column + e >= width) break;
      words[e / 2] |= uint32_t{from_float<Bf16>(to_float(from[e])).bits} << (16 * (e % 2));
    }
    *reinterpret_cast<uint4*>(target + row * target_stride + column) =
        make_uint4(words[0], words[1], words[2], words[3]);
  }
}

// A factor in bf16 whose rows begin at multiples of 16 bytes: itself, or a copy.
class RoundedFactor {
 public:
  // For a factor of `rows` stored rows of `width` elements.
  RoundedFactor(CudaBackend& backend, const TileFactor& factor, int64_t rows, int64_t width)
      : backend_(backend),
        source_(factor),
        rows_(rows),
        width_(width),
        in_place_(factor.dtype == DType::bf16 && factor.stride % 8 == 0 &&
                  reinterpret_cast<uintptr_t>(factor.data) % 16 == 0),
        stride_(in_place_ ? factor.stride : (width + 7) / 8 * 8),
        copy_(backend, static_cast<size_t>(in_place_ ? 0 : rows * stride_)) {}

  // Queues the copy if there has to be one.
  Status prepare() {
    if (copy_.data() == nullptr) return out_of_scratch();
    if (in_place_) return {};
    return with_weight_type(source_.dtype, [&](auto type) {
      using T = decltype(type);
      return launch(round_rows_kernel<T>,
                    {.blocks = blocks_for(rows_ * (stride_ / 8), 256), .threads = 256},
                    backend_.stream(), static_cast<const T*>(source_.data), source_.stride, rows_,
                    width_, copy_.data(), stride_);
    });
  }

  [[nodiscard]] TileFactor factor() const {
    return {.data = in_place_ ? source_.data : copy_.data(),
            .dtype = DType::bf16,
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
  Scratch<Bf16> copy_;
};

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

// The f32 kernel multiplies rounded factors where a card has no bf16 tensor cores.
constexpr int kTensorBf16 = 80;

Status multiply_rounded(CudaBackend& backend, const TileProduct& p) {
  RoundedFactor a(backend, p.term.a, p.term.a.inner_contiguous ? p.m : p.term.k,
                  p.term.a.inner_contiguous ? p.term.k : p.m);
  RoundedFactor b(backend, p.term.b, p.term.b.inner_contiguous ? p.n : p.term.k,
                  p.term.b.inner_contiguous ? p.term.k : p.n);
  if (Status status = a.prepare(); !status.ok()) return status;
  if (Status status = b.prepare(); !status.ok()) return status;
  TileProduct rounded = p;
  rounded.term.a = a.factor();
  rounded.term.b = b.factor();
  return backend.compute_capability() < kTensorBf16 ? tile_product(backend, rounded)
                                                    : tensor_product(backend, rounded);
}

}  // namespace

Status multiply(CudaBackend& backend, const TileProduct& p, Products products) {
  if (p.m == 0 || p.n == 0) return {};
  return products == Products::bf16 && p.term.k > 0 ? multiply_rounded(backend, p)
                                                    : tile_product(backend, p);
}

Status multiply(CudaBackend& backend, const Product& p) {
  return multiply(backend, tiles_of(p), p.products);
}

}  // namespace espalier::cuda
