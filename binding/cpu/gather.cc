// Gather: y[i] = x[indices[i]] along the first dimension, the last, or both. Elements are moved as
// bits.
#include <algorithm>
#include <cstddef>
#include <cstring>

#include "binding/core/pages.h"
#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/indices.h"

namespace espalier::cpu {
namespace {

constexpr int64_t kParallelBytes = 65536;
// Bytes of rows that are read before any are given back.
constexpr int64_t kConsumedBytes = int64_t{16} << 20;

void gather_rows(const GatherArguments& a) {
  const int64_t count = a.indices.shape.elements();
  const int64_t source_rows = a.x.shape[0];
  if (count == 0 || source_rows == 0) return;
  const auto bytes = a.x.shape.elements() / source_rows * static_cast<int64_t>(size_of(a.x.dtype));
  if (bytes == 0) return;
  const auto* indices = a.indices.as<int32_t>();
  const auto* source = a.x.as<std::byte>();
  auto* target = a.output.as<std::byte>();
#pragma omp parallel for schedule(static) if (count * bytes > kParallelBytes)
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(target + i * bytes, source + indices[i] * bytes, static_cast<size_t>(bytes));
  }
}

// Fills the rows [first, last) of the output.
template <class Bits>
void gather_columns(const GatherArguments& a, int64_t first, int64_t last) {
  const int64_t width = a.x.shape.columns();
  const int64_t count = a.indices.shape.elements();
  const auto* indices = a.indices.as<int32_t>();
#pragma omp parallel for schedule(static) if ((last - first) * count > kParallelBytes)
  for (int64_t row = first; row < last; ++row) {
    const Bits* source = a.x.as<Bits>() + (a.both ? indices[row] : row) * width;
    Bits* target = a.output.as<Bits>() + row * count;
    for (int64_t i = 0; i < count; ++i) target[i] = source[indices[i]];
  }
}

template <class Bits>
void gather_columns(const GatherArguments& a) {
  gather_columns<Bits>(a, 0, a.both ? a.indices.shape.elements() : a.x.shape.rows());
}

// Ascending rows are gathered some at a time, and what lies before the next one is given back.
template <class Bits>
void gather_consuming(const GatherArguments& a) {
  const int64_t count = a.indices.shape.elements();
  if (count == 0) return;
  const auto* indices = a.indices.as<int32_t>();
  if (!std::is_sorted(indices, indices + count)) {
    gather_columns<Bits>(a);
    return;
  }
  const int64_t row_bytes = a.x.shape.columns() * static_cast<int64_t>(sizeof(Bits));
  const int64_t step = std::max<int64_t>(1, kConsumedBytes / row_bytes);
  auto* source = static_cast<std::byte*>(const_cast<void*>(a.x.data));
  for (int64_t row = 0; row < count; row += step) {
    const int64_t next = std::min(row + step, count);
    gather_columns<Bits>(a, row, next);
    const int64_t end = next < count ? indices[next] : a.x.shape[0];
    discard_pages(source + indices[row] * row_bytes,
                  static_cast<size_t>((end - indices[row]) * row_bytes));
  }
}

template <class Bits>
void gather_bits(const GatherArguments& a) {
  if (a.consume) {
    gather_consuming<Bits>(a);
  } else {
    gather_columns<Bits>(a);
  }
}

}  // namespace

Status CpuBackend::gather(const GatherArguments& arguments) {
  const Shape& shape = arguments.x.shape;
  Status status =
      check_indices("indices", arguments.indices, arguments.columns ? shape.columns() : shape[0]);
  if (!status.ok()) return status;
  if (!arguments.columns && !arguments.both) {
    gather_rows(arguments);
    return {};
  }
  switch (size_of(arguments.x.dtype)) {
    case 1:
      gather_bits<uint8_t>(arguments);
      break;
    case 2:
      gather_bits<uint16_t>(arguments);
      break;
    case 4:
      gather_bits<uint32_t>(arguments);
      break;
    default:
      gather_bits<uint64_t>(arguments);
  }
  return {};
}

}  // namespace espalier::cpu
