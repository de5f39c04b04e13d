// How the f32 tile kernel reads a factor: in vectors or element by element, along index lists,
// under a mask, through a dropout, and from any weight dtype. Reading and writing are apart, so
// that a tile can be on its way while another one is multiplied.
#pragma once

#include <cstdint>

#include "cuda/device.h"
#include "cuda/tile_product.h"

namespace espalier::cuda {

/// Four elements as they are stored.
struct Four {
  uint4 bits;     ///< 16-bit elements are in x and y
  uint32_t keep;  ///< a byte for each element: 0 where the mask has 0
};

/// Their exact values.
__device__ inline float4 widen(const Four& four, DType dtype) {
  const uint4& b = four.bits;
  if (dtype == DType::f32) {
    return make_float4(__uint_as_float(b.x), __uint_as_float(b.y), __uint_as_float(b.z),
                       __uint_as_float(b.w));
  }
  if (dtype == DType::bf16) {
    return make_float4(__uint_as_float(b.x << 16), __uint_as_float(b.x & 0xffff0000U),
                       __uint_as_float(b.y << 16), __uint_as_float(b.y & 0xffff0000U));
  }
  return make_float4(
      to_float(F16{static_cast<uint16_t>(b.x)}), to_float(F16{static_cast<uint16_t>(b.x >> 16)}),
      to_float(F16{static_cast<uint16_t>(b.y)}), to_float(F16{static_cast<uint16_t>(b.y >> 16)}));
}

/// A tile of a factor on its way to shared memory: kOuter x Shape::kDepth elements, every thread of
/// Shape::kThreads four neighbours in memory at a time. kMask: the factor may have a mask.
template <class Shape, int kOuter, bool kMask>
class TileLoader {
  static constexpr int kFours = kOuter * Shape::kDepth / 4;
  static constexpr int kEach = (kFours + Shape::kThreads - 1) / Shape::kThreads;

 public:
  /// Reads the tile that starts at (outer, inner); zeros behind the ends. `vectors`: four
  /// neighbours that begin at a multiple of four are one aligned vector.
  __device__ void load(const TileFactor& f, bool vectors, int64_t outer, int64_t outer_end,
                       int64_t inner, int64_t inner_end) {
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      const int four = static_cast<int>(threadIdx.x) + i * Shape::kThreads;
      if (kFours % Shape::kThreads != 0 && four >= kFours) break;
      int o = 0;
      int l = 0;
      place(f, four, o, l);
      if (f.inner_contiguous) {
        read(f, vectors, outer + o, outer_end, f.outer_list, inner + l, inner_end, f.inner_list,
             fours_[i]);
      } else {
        read(f, vectors, inner + l, inner_end, f.inner_list, outer + o, outer_end, f.outer_list,
             fours_[i]);
      }
    }
  }

  /// Writes factor times what load() read to `target` [kDepth, kStride], dropped where the factor
  /// has a dropout and kDropout. The other arguments are those of load().
  template <int kStride, bool kDropout>
  __device__ void store(const TileFactor& f, float factor, int64_t outer, int64_t inner,
                        float* target) const {
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      const int four = static_cast<int>(threadIdx.x) + i * Shape::kThreads;
      if (kFours % Shape::kThreads != 0 && four >= kFours) break;
      int o = 0;
      int l = 0;
      place(f, four, o, l);
      float4 values = widen(fours_[i], f.dtype);
      if (kMask && f.mask != nullptr) {
        const uint32_t keep = fours_[i].keep;
        values = make_float4(
            (keep & 0xffU) != 0 ? values.x : 0.0F, (keep & 0xff00U) != 0 ? values.y : 0.0F,
            (keep & 0xff0000U) != 0 ? values.z : 0.0F, (keep & 0xff000000U) != 0 ? values.w : 0.0F);
      }
      if (kDropout && !f.dropout.keeps_all()) {
        const int64_t start = f.inner_contiguous ? (outer + o) * f.stride + inner + l
                                                 : (inner + l) * f.stride + outer + o;
        values = f.dropout.apply(values, static_cast<uint64_t>(start));
      }
      values =
          make_float4(factor * values.x, factor * values.y, factor * values.z, factor * values.w);
      if (f.inner_contiguous) {
        target[l * kStride + o] = values.x;
        target[(l + 1) * kStride + o] = values.y;
        target[(l + 2) * kStride + o] = values.z;
        target[(l + 3) * kStride + o] = values.w;
      } else {
        *reinterpret_cast<float4*>(target + l * kStride + o) = values;
      }
    }
  }

 private:
  // Where in the tile the four elements begin.
  __device__ static void place(const TileFactor& f, int four, int& outer, int& inner) {
    if (f.inner_contiguous) {
      outer = four / (Shape::kDepth / 4);
      inner = four % (Shape::kDepth / 4) * 4;
    } else {
      inner = four / (kOuter / 4);
      outer = four % (kOuter / 4) * 4;
    }
  }

  __device__ static void read(const TileFactor& f, bool vectors, int64_t row, int64_t row_end,
                              const int32_t* row_list, int64_t column, int64_t column_end,
                              const int32_t* column_list, Four& four) {
    four = {make_uint4(0, 0, 0, 0), 0};
    if (row >= row_end) return;
    const int64_t start = (row_list == nullptr ? row : row_list[row]) * f.stride;
    if (vectors && column + 4 <= column_end) {
      if (f.dtype == DType::f32) {
        four.bits =
            *reinterpret_cast<const uint4*>(static_cast<const float*>(f.data) + start + column);
      } else {
        const uint2 bits =
            *reinterpret_cast<const uint2*>(static_cast<const uint16_t*>(f.data) + start + column);
        four.bits.x = bits.x;
        four.bits.y = bits.y;
      }
      if (kMask && f.mask != nullptr) {
        four.keep = *reinterpret_cast<const uint32_t*>(f.mask + start + column);
      }
      return;
    }
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      if (column + e >= column_end) break;
      const int64_t at =
          start + (column_list == nullptr ? column + e : int64_t{column_list[column + e]});
      insert(f, at, e, four);
    }
  }

  __device__ static void insert(const TileFactor& f, int64_t at, int e, Four& four) {
    uint4& b = four.bits;
    if (f.dtype == DType::f32) {
      const uint32_t bits = static_cast<const uint32_t*>(f.data)[at];
      if (e == 0) b.x = bits;
      if (e == 1) b.y = bits;
      if (e == 2) b.z = bits;
      if (e == 3) b.w = bits;
    } else {
      const uint32_t bits = static_cast<const uint16_t*>(f.data)[at];
      if (e < 2) b.x |= bits << (16 * e);
      if (e >= 2) b.y |= bits << (16 * (e - 2));
    }
    if (kMask && f.mask != nullptr) four.keep |= static_cast<uint32_t>(f.mask[at]) << (8 * e);
  }

  Four fours_[kEach];
};

}  // namespace espalier::cuda
