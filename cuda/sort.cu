// Stable radix sort of (key, position) pairs, least significant byte first. A pass over one byte:
//   count   every warp counts the bytes of its own run of keys: counts [256, warps];
//   scan    exclusive prefix sum of all counts, byte by byte and within a byte warp by warp: where
//           each warp's keys of each byte start;
//   scatter every warp goes through its run again, 32 keys at a time, and ranks equal bytes by
//   lane.
// Runs are in order of position, so equal keys stay in order. Only integers are added, so the
// result does not depend on the order of execution.
#include <utility>

#include "cuda/device.h"
#include "cuda/indices.h"
#include "cuda/launch.h"
#include "cuda/scratch.h"
#include "cuda/sort.h"

namespace espalier::cuda {
namespace {

constexpr int kDigits = 256;
constexpr int kWarps = 4;
constexpr int kThreads = 32 * kWarps;
// Keys of one warp: its counters in shared memory cost as much as these.
constexpr int64_t kRun = 512;
constexpr int kScanThreads = 1024;

template <class Index>
__global__ void start_keys(const Index* indices, int64_t count, SortedIndices to) {
  for (int64_t i = global_thread(); i < count; i += global_threads()) {
    to.keys[i] = static_cast<uint32_t>(indices[i]);
    to.positions[i] = static_cast<uint32_t>(i);
  }
}

__global__ void count_digits(const uint32_t* keys, int64_t count, int shift, int64_t runs,
                             uint32_t* counts) {
  __shared__ uint32_t digits[kWarps][kDigits];
  const unsigned lane = threadIdx.x % 32;
  const unsigned warp = threadIdx.x / 32;
  const int64_t run = static_cast<int64_t>(blockIdx.x) * kWarps + warp;
  for (unsigned d = lane; d < kDigits; d += 32) digits[warp][d] = 0;
  __syncwarp();
  const int64_t end = (run + 1) * kRun < count ? (run + 1) * kRun : count;
  for (int64_t i = run * kRun + lane; i < end; i += 32) {
    atomicAdd(&digits[warp][keys[i] >> shift & (kDigits - 1)], 1U);
  }
  __syncwarp();
  if (run >= runs) return;
  for (unsigned d = lane; d < kDigits; d += 32) counts[d * runs + run] = digits[warp][d];
}

// counts becomes its exclusive prefix sum; one block.
__global__ void scan_counts(uint32_t* counts, int64_t count) {
  __shared__ uint32_t warps[32];
  const unsigned lane = threadIdx.x % 32;
  const unsigned warp = threadIdx.x / 32;
  uint32_t before = 0;
  for (int64_t start = 0; start < count; start += kScanThreads) {
    const int64_t i = start + threadIdx.x;
    const uint32_t value = i < count ? counts[i] : 0;
    uint32_t sum = value;
    for (unsigned lanes = 1; lanes < 32; lanes *= 2) {
      const uint32_t other = __shfl_up_sync(kAllLanes, sum, lanes);
      if (lane >= lanes) sum += other;
    }
    if (lane == 31) warps[warp] = sum;
    __syncthreads();
    uint32_t warp_total = warps[lane];
    for (unsigned lanes = 1; lanes < 32; lanes *= 2) {
      const uint32_t other = __shfl_up_sync(kAllLanes, warp_total, lanes);
      if (lane >= lanes) warp_total += other;
    }
    const uint32_t all = __shfl_sync(kAllLanes, warp_total, 31);
    const uint32_t earlier = __shfl_sync(kAllLanes, warp_total, static_cast<int>(warp) - 1);
    if (i < count) counts[i] = before + (warp == 0 ? 0 : earlier) + sum - value;
    before += all;
    __syncthreads();
  }
}

__global__ void scatter_pairs(SortedIndices from, int64_t count, int shift, int64_t runs,
                              const uint32_t* starts, SortedIndices to) {
  __shared__ uint32_t next[kWarps][kDigits];
  const unsigned lane = threadIdx.x % 32;
  const unsigned warp = threadIdx.x / 32;
  const int64_t run = static_cast<int64_t>(blockIdx.x) * kWarps + warp;
  if (run >= runs) return;
  for (unsigned d = lane; d < kDigits; d += 32) next[warp][d] = starts[d * runs + run];
  __syncwarp();
  const int64_t end = (run + 1) * kRun < count ? (run + 1) * kRun : count;
  for (int64_t first = run * kRun; first < end; first += 32) {
    const int64_t i = first + lane;
    const bool here = i < end;
    const uint32_t key = here ? from.keys[i] : 0;
    const uint32_t digit = key >> shift & (kDigits - 1);
    unsigned alike = __ballot_sync(kAllLanes, here);
    for (int bit = 0; bit < 8; ++bit) {
      const bool set = (digit >> bit & 1U) != 0;
      const unsigned with_bit = __ballot_sync(kAllLanes, set);
      alike &= set ? with_bit : ~with_bit;
    }
    const int rank = __popc(alike & ((1U << lane) - 1));
    const uint32_t base = here ? next[warp][digit] : 0;
    __syncwarp();
    if (here) {
      to.keys[base + rank] = key;
      to.positions[base + rank] = from.positions[i];
      if (rank == 0) next[warp][digit] = base + static_cast<uint32_t>(__popc(alike));
    }
    __syncwarp();
  }
}

Status start(CudaBackend& backend, const ConstView& indices, const SortedIndices& to) {
  const int64_t count = indices.shape.elements();
  return with_index_type(indices, [&](const auto* values) {
    return launch(start_keys<std::remove_cvref_t<decltype(*values)>>,
                  {.blocks = blocks_for(count, 256), .threads = 256}, backend.stream(), values,
                  count, to);
  });
}

Status pass(CudaBackend& backend, const SortedIndices& from, int64_t count, int shift,
            uint32_t* counts, const SortedIndices& to) {
  const int64_t runs = (count + kRun - 1) / kRun;
  const Grid grid{.blocks = {static_cast<unsigned>((runs + kWarps - 1) / kWarps)},
                  .threads = kThreads};
  if (Status status =
          launch(count_digits, grid, backend.stream(), from.keys, count, shift, runs, counts);
      !status.ok()) {
    return status;
  }
  if (Status status = launch(scan_counts, {.blocks = 1, .threads = kScanThreads}, backend.stream(),
                             counts, kDigits * runs);
      !status.ok()) {
    return status;
  }
  return launch(scatter_pairs, grid, backend.stream(), from, count, shift, runs, counts, to);
}

}  // namespace

Status sort_indices(CudaBackend& backend, const ConstView& indices, int64_t limit,
                    const SortedIndices& sorted, const SortedIndices& spare,
                    const SortedIndices** result) {
  const int64_t count = indices.shape.elements();
  constexpr int64_t kMost = int64_t{1} << 32;
  if (count > kMost || limit > kMost) {
    return {ErrorCode::unsupported, "expected at most 2^32 indices below 2^32"};
  }
  const Scratch<uint32_t> counts(backend, static_cast<size_t>((count + kRun - 1) / kRun * kDigits));
  if (counts.data() == nullptr) return out_of_scratch();
  const SortedIndices* from = &sorted;
  const SortedIndices* to = &spare;
  if (Status status = start(backend, indices, *from); !status.ok()) return status;
  for (int shift = 0; (limit - 1) >> shift > 0; shift += 8) {
    if (Status status = pass(backend, *from, count, shift, counts.data(), *to); !status.ok()) {
      return status;
    }
    std::swap(from, to);
  }
  *result = from;
  return {};
}

}  // namespace espalier::cuda
