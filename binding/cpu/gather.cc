// Gather: y[i] = x[indices[i]] along the first dimension, the last, or both. Elements are moved as
// bits.
#include <cstring>

#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/indices.h"

namespace espalier::cpu {
namespace {

constexpr int64_t kParallelBytes = 65536;

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

template <class Bits>
void gather_columns(const GatherArguments& a) {
  const int64_t width = a.x.shape.columns();
  const int64_t count = a.indices.shape.elements();
  const int64_t rows = a.both ? count : a.x.shape.rows();
  const auto* indices = a.indices.as<int32_t>();
#pragma omp parallel for schedule(static) if (rows * count > kParallelBytes)
  for (int64_t row = 0; row < rows; ++row) {
    const Bits* source = a.x.as<Bits>() + (a.both ? indices[row] : row) * width;
    Bits* target = a.output.as<Bits>() + row * count;
    for (int64_t i = 0; i < count; ++i) target[i] = source[indices[i]];
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
      gather_columns<uint8_t>(arguments);
      break;
    case 2:
      gather_columns<uint16_t>(arguments);
      break;
    case 4:
      gather_columns<uint32_t>(arguments);
      break;
    default:
      gather_columns<uint64_t>(arguments);
  }
  return {};
}

}  // namespace espalier::cpu
