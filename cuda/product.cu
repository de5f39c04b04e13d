// c = alpha a b + beta c + bias, for every op with a dense product.
//   f32: factors are widened exactly and multiplied in f32 (never TF32).
//   bf16: factors are rounded to bf16 first, in one pass each where they are not stored so, because
//     every tile of a factor is read many times.
#include "cuda/device.h"
#include "cuda/launch.h"
#include "cuda/product.h"
#include "cuda/scratch.h"
#include "cuda/tile_product.h"

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
  RoundedFactor(CudaBackend& backend, const Factor& factor, int64_t rows, int64_t width)
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

  [[nodiscard]] Factor factor() const {
    return {.data = in_place_ ? source_.data : copy_.data(),
            .dtype = DType::bf16,
            .stride = stride_,
            .transposed = source_.transposed};
  }

 private:
  CudaBackend& backend_;
  const Factor& source_;
  int64_t rows_;
  int64_t width_;
  bool in_place_;
  int64_t stride_;
  Scratch<Bf16> copy_;
};

// The product in f32 of whatever is stored.
Status multiply_tiles(CudaBackend& backend, const Product& p) {
  return tile_product(backend, {.m = p.m,
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
                                        .bias_dtype = p.bias.dtype}});
}

Status multiply_rounded(CudaBackend& backend, const Product& p) {
  RoundedFactor a(backend, p.a, p.a.transposed ? p.k : p.m, p.a.transposed ? p.m : p.k);
  RoundedFactor b(backend, p.b, p.b.transposed ? p.n : p.k, p.b.transposed ? p.k : p.n);
  if (Status status = a.prepare(); !status.ok()) return status;
  if (Status status = b.prepare(); !status.ok()) return status;
  Product rounded = p;
  rounded.a = a.factor();
  rounded.b = b.factor();
  return multiply_tiles(backend, rounded);
}

}  // namespace

Status multiply(CudaBackend& backend, const Product& p) {
  if (p.m == 0 || p.n == 0) return {};
  if (p.products == Products::bf16 && p.k > 0) return multiply_rounded(backend, p);
  return multiply_tiles(backend, p);
}

}  // namespace espalier::cuda
