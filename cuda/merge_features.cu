// Merging feature blocks of many sources into one batch, and cutting its gradient back: rows are
// copied, with a factor per source and a cast on the way. Sources, targets and batch: rows of
// `width` elements, f32, bf16 or f16; the factor is applied in f32 and the result rounded once, to
// nearest even. A batch row finds its segment by bisection of the segments' first rows, which come
// as a kernel parameter; more segments than fit take more launches. Bound by memory: 16 bytes of
// the batch a thread, and the segment's share of them.
#include <algorithm>
#include <vector>

#include "cuda/cuda_backend.h"
#include "cuda/indices.h"
#include "cuda/pack.h"
#include "cuda/rows.h"

namespace espalier::cuda {
namespace {

// A segment's part of the concatenated rows.
struct Part {
  void* data;
  int64_t first_row;
  float factor;
  DType dtype;
};

// As many segments as fit beside other parameters into the 4 KiB that every card takes.
struct Parts {
  static constexpr int kMost = 144;
  Part part[kMost];
  int count;
  int64_t end;  // row behind the last part
};

// The batch as the kernels see it.
struct Batch {
  const int32_t* permutation;  // null: in order
  int64_t rows;
  int64_t width;
};

__device__ inline const Part& part_of_row(const Parts& parts, int64_t row) {
  int low = 0;
  int high = parts.count - 1;
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    if (parts.part[middle].first_row <= row) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return parts.part[low];
}

// Between the batch and a segment, towards the segment where `kDispatch`.
template <bool kDispatch, int kPack, class InBatch, class InSegment>
__device__ inline void move_pack(InBatch* batch, InSegment* segment, float factor) {
  if constexpr (kDispatch) {
    store_pack(segment, convert_pack<InSegment>(load_pack<kPack>(batch), factor));
  } else {
    store_pack(batch, convert_pack<InBatch>(load_pack<kPack>(segment), factor));
  }
}

template <bool kDispatch, int kPack, class T>
__global__ void move_rows(const __grid_constant__ Parts parts, Batch batch, T* data) {
  for_row_elements(batch.rows, batch.width / kPack, [&](int64_t k, int64_t pack) {
    const int64_t row = batch.permutation == nullptr ? k : batch.permutation[k];
    if (row < parts.part[0].first_row || row >= parts.end) return;
    const Part& part = part_of_row(parts, row);
    T* here = data + k * batch.width + pack * kPack;
    const int64_t there = (row - part.first_row) * batch.width + pack * kPack;
    if (part.dtype == DType::f32) {
      move_pack<kDispatch, kPack>(here, static_cast<float*>(part.data) + there, part.factor);
    } else if (part.dtype == DType::bf16) {
      move_pack<kDispatch, kPack>(here, static_cast<Bf16*>(part.data) + there, part.factor);
    } else {
      move_pack<kDispatch, kPack>(here, static_cast<F16*>(part.data) + there, part.factor);
    }
  });
}

// Whether packs are aligned in the batch and in all segments.
template <int kPack>
bool all_in_packs(const std::vector<Part>& parts, const Batch& batch, const void* data,
                  DType dtype) {
  const auto in_place = [&](const void* rows, DType type) {
    return with_weight_type(type, [&](auto zero) {
      return in_packs<kPack>(batch.width, static_cast<const decltype(zero)*>(rows));
    });
  };
  return in_place(data, dtype) && std::all_of(parts.begin(), parts.end(), [&](const Part& part) {
           return in_place(part.data, part.dtype);
         });
}

template <bool kDispatch, class T>
Status move(CudaBackend& backend, const std::vector<Part>& list, const Batch& batch, T* data,
            DType dtype) {
  constexpr int kPack = 16 / sizeof(T);
  const bool packs = all_in_packs<kPack>(list, batch, data, dtype);
  const Grid grid = row_grid(batch.rows, packs ? batch.width / kPack : batch.width);
  Parts parts{};
  for (size_t start = 0; start < list.size(); start += Parts::kMost) {
    const size_t end = std::min(list.size(), start + Parts::kMost);
    std::copy(list.begin() + static_cast<std::ptrdiff_t>(start),
              list.begin() + static_cast<std::ptrdiff_t>(end), parts.part);
    parts.count = static_cast<int>(end - start);
    parts.end = end == list.size() ? batch.rows : list[end].first_row;
    if (Status status = launch(packs ? move_rows<kDispatch, kPack, T> : move_rows<kDispatch, 1, T>,
                               grid, backend.stream(), parts, batch, data);
        !status.ok()) {
      return status;
    }
  }
  return {};
}

// The segments with rows, in order.
template <class AnySegment>
std::vector<Part> parts_of(const std::vector<AnySegment>& segments) {
  std::vector<Part> parts;
  int64_t row = 0;
  for (const AnySegment& segment : segments) {
    if (segment.rows.shape[0] == 0) continue;
    parts.push_back({.data = const_cast<void*>(static_cast<const void*>(segment.rows.data)),
                     .first_row = row,
                     .factor = segment.factor,
                     .dtype = segment.rows.dtype});
    row += segment.rows.shape[0];
  }
  return parts;
}

template <bool kDispatch, class AnySegment>
Status move_segments(CudaBackend& backend, const std::vector<AnySegment>& segments,
                     const ConstView& permutation, void* data, DType dtype, const Shape& shape) {
  const int64_t rows = shape[0];
  if (permutation.given()) {
    if (Status status = check_permutation(backend, permutation, rows); !status.ok()) return status;
  }
  if (rows == 0) return {};
  const Batch batch{
      .permutation = permutation.as<int32_t>(), .rows = rows, .width = shape.elements() / rows};
  return with_weight_type(dtype, [&](auto zero) {
    return move<kDispatch>(backend, parts_of(segments), batch, static_cast<decltype(zero)*>(data),
                           dtype);
  });
}

}  // namespace

Status CudaBackend::merge_features(const MergeFeaturesArguments& a) {
  return move_segments<false>(*this, a.sources, a.permutation, a.output.data, a.output.dtype,
                              a.output.shape);
}

Status CudaBackend::dispatch_gradient(const DispatchGradientArguments& a) {
  return move_segments<true>(*this, a.targets, a.permutation, const_cast<void*>(a.gradient.data),
                             a.gradient.dtype, a.gradient.shape);
}

}  // namespace espalier::cuda
