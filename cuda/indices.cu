// The first wrong position is found by an atomic minimum, which is the same in any order.
#include <string>

#include "cuda/device.h"
#include "cuda/indices.h"
#include "cuda/launch.h"
#include "cuda/scratch.h"

namespace espalier::cuda {
namespace {

using Position = unsigned long long;
constexpr Position kNone = ~Position{0};

template <class T>
__global__ void find_outside(const T* values, int64_t count, int64_t limit, bool has_exception,
                             int64_t exception, Position* first) {
  for (int64_t i = global_thread(); i < count; i += global_threads()) {
    const auto value = static_cast<int64_t>(values[i]);
    if (value >= 0 && value < limit) continue;
    if (has_exception && value == exception) continue;
    atomicMin(first, static_cast<Position>(i));
  }
}

__global__ void find_descent(const int32_t* values, int64_t count, Position* first) {
  for (int64_t i = global_thread() + 1; i < count; i += global_threads()) {
    if (values[i] <= values[i - 1]) atomicMin(first, static_cast<Position>(i));
  }
}

// first[r]: the smallest k with permutation[k] = r.
__global__ void find_rows(const int32_t* permutation, int64_t rows, Position* first) {
  for (int64_t k = global_thread(); k < rows; k += global_threads()) {
    const int32_t row = permutation[k];
    if (row >= 0 && row < rows) atomicMin(first + row, static_cast<Position>(k));
  }
}

__global__ void find_repeats(const int32_t* permutation, int64_t rows, const Position* first,
                             Position* wrong) {
  for (int64_t k = global_thread(); k < rows; k += global_threads()) {
    const int32_t row = permutation[k];
    if (row >= 0 && row < rows && first[row] == static_cast<Position>(k)) continue;
    atomicMin(wrong, static_cast<Position>(k));
  }
}

// Queues `find` with a place for the first position and waits for the outcome.
template <class Find>
Status first_position(CudaBackend& backend, Position& position, Find&& find) {
  position = kNone;
  const Scratch<Position> first(backend, 1);
  if (first.data() == nullptr) return out_of_scratch();
  if (Status status = fill_bytes(backend.stream(), first.data(), 0xff, sizeof(Position));
      !status.ok()) {
    return status;
  }
  if (Status status = find(first.data()); !status.ok()) return status;
  return backend.copy_to_host(&position, {.data = first.data(), .dtype = DType::i64, .shape = {}});
}

Status value_at(CudaBackend& backend, const ConstView& indices, Position position, int64_t& value) {
  return with_index_type(indices, [&](const auto* values) {
    std::remove_cvref_t<decltype(*values)> found{};
    Status status = backend.copy_to_host(
        &found, {.data = values + position, .dtype = indices.dtype, .shape = {}});
    value = found;
    return status;
  });
}

}  // namespace

Status check_indices(CudaBackend& backend, const char* name, const ConstView& indices,
                     int64_t limit, const int64_t* also_allowed) {
  const int64_t count = indices.shape.elements();
  if (count == 0) return {};
  Position position = kNone;
  Status status = first_position(backend, position, [&](Position* first) {
    return with_index_type(indices, [&](const auto* values) {
      return launch(find_outside<std::remove_cvref_t<decltype(*values)>>,
                    {.blocks = blocks_for(count, 256), .threads = 256}, backend.stream(), values,
                    count, limit, also_allowed != nullptr,
                    also_allowed == nullptr ? 0 : *also_allowed, first);
    });
  });
  if (!status.ok() || position == kNone) return status;
  int64_t value = 0;
  if (status = value_at(backend, indices, position, value); !status.ok()) return status;
  return {ErrorCode::shape, std::string(name) + ": expected indices in [0, " +
                                std::to_string(limit) + "), got " + std::to_string(value) + " at " +
                                std::to_string(position)};
}

Status check_increasing(CudaBackend& backend, const char* name, const ConstView& indices,
                        int64_t limit) {
  if (Status status = check_indices(backend, name, indices, limit); !status.ok()) return status;
  const int64_t count = indices.shape.elements();
  if (count < 2) return {};
  Position position = kNone;
  Status status = first_position(backend, position, [&](Position* first) {
    return launch(find_descent, {.blocks = blocks_for(count, 256), .threads = 256},
                  backend.stream(), indices.as<int32_t>(), count, first);
  });
  if (!status.ok() || position == kNone) return status;
  int64_t value = 0;
  int64_t before = 0;
  if (status = value_at(backend, indices, position, value); !status.ok()) return status;
  if (status = value_at(backend, indices, position - 1, before); !status.ok()) return status;
  return {ErrorCode::shape, std::string(name) + ": expected strictly increasing indices, got " +
                                std::to_string(value) + " after " + std::to_string(before)};
}

Status check_permutation(CudaBackend& backend, const ConstView& permutation, int64_t rows) {
  if (rows == 0) return {};
  const Scratch<Position> first(backend, static_cast<size_t>(rows));
  if (first.data() == nullptr) return out_of_scratch();
  if (Status status = fill_bytes(backend.stream(), first.data(), 0xff,
                                 static_cast<size_t>(rows) * sizeof(Position));
      !status.ok()) {
    return status;
  }
  const auto* values = permutation.as<int32_t>();
  const Grid grid{.blocks = blocks_for(rows, 256), .threads = 256};
  Position position = kNone;
  Status status = first_position(backend, position, [&](Position* wrong) -> Status {
    if (Status queued = launch(find_rows, grid, backend.stream(), values, rows, first.data());
        !queued.ok()) {
      return queued;
    }
    return launch(find_repeats, grid, backend.stream(), values, rows, first.data(), wrong);
  });
  if (!status.ok() || position == kNone) return status;
  int64_t value = 0;
  if (status = value_at(backend, permutation, position, value); !status.ok()) return status;
  return {ErrorCode::shape, "permutation: expected each of 0 to " + std::to_string(rows - 1) +
                                " once, got " + std::to_string(value) + " at " +
                                std::to_string(position)};
}

}  // namespace espalier::cuda
