// Factors of products in the type that the product is made in.
#pragma once

#include <cstdint>
#include <cstring>

#include "cuda/cuda_backend.h"
#include "cuda/device.h"
#include "cuda/launch.h"
#include "cuda/scratch.h"
#include "cuda/tile_product.h"

namespace espalier::cuda {

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

/// A factor in the type of Target, f32 or bf16: itself, or a copy that lives as long as this. The
/// rows of a bf16 one begin at multiples of 16 bytes.
template <class Target>
class ConvertedFactor {
  static constexpr DType kType = sizeof(Target) == 4 ? DType::f32 : DType::bf16;

 public:
  /// For a factor with `outer` rows or columns, summed over `inner`; it must outlive this.
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

  /// Queues the copy if there has to be one.
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

  /// The factor, once prepare() has been called.
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

}  // namespace espalier::cuda
