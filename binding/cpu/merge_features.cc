// Merging feature blocks of many sources into one batch, and cutting its gradient back: rows are
// copied, with a factor per source and a cast on the way. Sources, targets: rows of `width`
// elements, f32, bf16 or f16; the factor is applied in f32 and the result rounded once, to nearest
// even. Without cast and factor it is a copy; memory is the limit either way.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "binding/cpu/merge_features.cc"
#include "hwy/foreach_target.h"  // keeps its place before highway.h
#include "hwy/highway.h"
//
#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/load_weight.h"
#include "binding/cpu/widen.h"

HWY_BEFORE_NAMESPACE();
namespace espalier::cpu::HWY_NAMESPACE {
namespace {

template <class DF>
HWY_INLINE void store_rounded(DF d, hn::Vec<DF> value, float* target) {
  hn::StoreU(value, d, target);
}

template <class DF>
HWY_INLINE void store_rounded(DF /*d*/, hn::Vec<DF> value, Bf16* target) {
  const hn::RebindToUnsigned<DF> du;
  const hn::Rebind<uint16_t, DF> du16;
  const auto bits = hn::BitCast(du, value);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1U));
  const auto rounded = hn::Add(hn::Add(bits, hn::Set(du, 0x7fffU)), odd);
  const auto quiet = hn::Or(bits, hn::Set(du, 0x400000U));
  const auto kept = hn::IfThenElse(hn::RebindMask(du, hn::IsNaN(value)), quiet, rounded);
  hn::StoreU(hn::TruncateTo(du16, hn::ShiftRight<16>(kept)), du16,
             reinterpret_cast<uint16_t*>(target));
}

template <class DF>
HWY_INLINE void store_rounded(DF d, hn::Vec<DF> value, F16* target) {
  HWY_ALIGN float values[hn::MaxLanes(DF())];
  hn::Store(value, d, values);
  for (size_t i = 0; i < hn::Lanes(d); ++i) target[i].bits = f16_from_float(values[i]);
}

HWY_INLINE void store_scalar(float value, float* target) { *target = value; }
HWY_INLINE void store_scalar(float value, Bf16* target) { target->bits = bf16_from_float(value); }
HWY_INLINE void store_scalar(float value, F16* target) { target->bits = f16_from_float(value); }

template <class From, class To>
void convert_typed(const From* source, float factor, int64_t count, To* target) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto f = hn::Set(d, factor);
  int64_t i = 0;
  for (; i + 4 * lanes <= count; i += 4 * lanes) {
    for (int64_t part = i; part < i + 4 * lanes; part += lanes) {
      store_rounded(d, hn::Mul(load_weight(d, source + part), f), target + part);
    }
  }
  for (; i + lanes <= count; i += lanes) {
    store_rounded(d, hn::Mul(load_weight(d, source + i), f), target + i);
  }
  for (; i < count; ++i) store_scalar(load_weight_scalar(source + i) * factor, target + i);
}

void convert_scaled(const void* source, DType from, float factor, int64_t count, void* target,
                    DType to) {
  with_weight_type(source, from, [&](const auto* s) {
    with_weight_type(target, to, [&](const auto* t) {
      using To = std::remove_const_t<std::remove_pointer_t<decltype(t)>>;
      convert_typed(s, factor, count, static_cast<To*>(target));
    });
  });
}

}  // namespace
}  // namespace espalier::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace espalier::cpu {
namespace {

HWY_EXPORT(convert_scaled);

// Elements that one thread takes at a time.
constexpr int64_t kPiece = 32768;
// Elements of a permuted row that are moved at a time, while those of the next row are fetched: it
// lies on other pages, where the processor's own prefetching would have to begin anew.
constexpr int64_t kRowPiece = 512;
constexpr size_t kLine = 64;

// Where elements come from and go to, and what becomes of them.
struct Transfer {
  const void* source;
  DType from;
  float factor;
  void* target;
  DType to;
};

void move(const Transfer& t, int64_t count) {
  if (t.from == t.to && t.factor == 1.0F) {
    std::memcpy(t.target, t.source, static_cast<size_t>(count) * size_of(t.from));
  } else {
    HWY_DYNAMIC_DISPATCH(convert_scaled)(t.source, t.from, t.factor, count, t.target, t.to);
  }
}

void prefetch(const Transfer& t, int64_t count) {
  const auto elements = static_cast<size_t>(count);
  for (size_t i = 0; i < elements * size_of(t.from); i += kLine) {
    __builtin_prefetch(static_cast<const std::byte*>(t.source) + i);
  }
  for (size_t i = 0; i < elements * size_of(t.to); i += kLine) {
    __builtin_prefetch(static_cast<const std::byte*>(t.target) + i, 1);
  }
}

void* element(void* data, DType dtype, int64_t index) {
  return static_cast<std::byte*>(data) + static_cast<size_t>(index) * size_of(dtype);
}

// Where every row of the concatenated segments is: its segment.
template <class AnySegment>
std::vector<int32_t> owners(const std::vector<AnySegment>& segments) {
  std::vector<int32_t> owner;
  for (size_t i = 0; i < segments.size(); ++i) {
    owner.insert(owner.end(), static_cast<size_t>(segments[i].rows.shape[0]),
                 static_cast<int32_t>(i));
  }
  return owner;
}

Status check_permutation(const ConstView& permutation, int64_t rows) {
  std::vector<bool> seen(static_cast<size_t>(rows));
  for (int64_t k = 0; k < rows; ++k) {
    const int32_t row = permutation.as<int32_t>()[k];
    if (row < 0 || row >= rows || seen[static_cast<size_t>(row)]) {
      return {ErrorCode::shape, "permutation: expected each of 0 to " + std::to_string(rows - 1) +
                                    " once, got " + std::to_string(row) + " at " +
                                    std::to_string(k)};
    }
    seen[static_cast<size_t>(row)] = true;
  }
  return {};
}

// Moves the whole batch, in parallel: pieces of segments in order, or the rows of a permuted batch.
// transfer(segment, element inside it, element of the batch) says where an element comes from and
// goes to.
template <class AnySegment, class TransferAt>
Status move_all(const std::vector<AnySegment>& segments, const ConstView& permutation, int64_t rows,
                int64_t width, const TransferAt& transfer) {
  std::vector<int64_t> starts;
  int64_t total = 0;
  for (const AnySegment& segment : segments) {
    starts.push_back(total);
    total += segment.rows.shape[0];
  }
  if (!permutation.given()) {
    std::vector<std::pair<size_t, int64_t>> pieces;
    for (size_t i = 0; i < segments.size(); ++i) {
      const int64_t count = segments[i].rows.shape.elements();
      for (int64_t start = 0; start < count; start += kPiece) pieces.emplace_back(i, start);
    }
#pragma omp parallel for schedule(static) if (pieces.size() > 2)
    for (const auto& [i, start] : pieces) {
      const int64_t count = segments[i].rows.shape.elements() - start;
      move(transfer(i, start, starts[i] * width + start), std::min(kPiece, count));
    }
    return {};
  }
  if (Status status = check_permutation(permutation, rows); !status.ok()) return status;
  const std::vector<int32_t> owner = owners(segments);
  // From element `start` of row k of the batch on.
  const auto inside_row = [&](int64_t k, int64_t start) {
    const int64_t row = permutation.as<int32_t>()[k];
    const auto i = static_cast<size_t>(owner[static_cast<size_t>(row)]);
    return transfer(i, (row - starts[i]) * width + start, k * width + start);
  };
#pragma omp parallel for schedule(static) if (rows * width > 2 * kPiece)
  for (int64_t k = 0; k < rows; ++k) {
    const int64_t next = std::min(k + 1, rows - 1);
    for (int64_t start = 0; start < width; start += kRowPiece) {
      const int64_t count = std::min(kRowPiece, width - start);
      prefetch(inside_row(next, start), count);
      move(inside_row(k, start), count);
    }
  }
  return {};
}

int64_t row_width(const Shape& shape) { return shape[0] == 0 ? 0 : shape.elements() / shape[0]; }

}  // namespace

Status CpuBackend::merge_features(const MergeFeaturesArguments& arguments) {
  const View& out = arguments.output;
  return move_all(arguments.sources, arguments.permutation, out.shape[0], row_width(out.shape),
                  [&](size_t i, int64_t from, int64_t to) {
                    const auto& [rows, factor] = arguments.sources[i];
                    return Transfer{weight_at(rows.data, rows.dtype, from), rows.dtype, factor,
                                    element(out.data, out.dtype, to), out.dtype};
                  });
}

Status CpuBackend::dispatch_gradient(const DispatchGradientArguments& arguments) {
  const ConstView& batch = arguments.gradient;
  return move_all(arguments.targets, arguments.permutation, batch.shape[0], row_width(batch.shape),
                  [&](size_t i, int64_t to, int64_t from) {
                    const auto& [rows, factor] = arguments.targets[i];
                    return Transfer{weight_at(batch.data, batch.dtype, from), batch.dtype, factor,
                                    element(rows.data, rows.dtype, to), rows.dtype};
                  });
}

}  // namespace espalier::cpu
#endif
