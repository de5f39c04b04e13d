// Gram matrices in f64: output (+)= yᵀ x, with y = x for the symmetric case.
// x: [N, D], y: [N, E] f32, bf16 or f16; output: [E, D] f64.
//
// As on the CPU, the products of 256 rows are summed in f32 and those sums are added in f64, in
// order: the result has the CPU's error bound on every card, also on those with little f64.
//
// A block computes a tile of 128 x 128 of the output with 256 threads of 8 x 8 sums. Both operands
// lie with their columns side by side in memory, which is what the outer products want: 8 rows of
// the tile's columns of y and x come to shared memory as they are (16-bit types become f32), while
// the next 8 are on their way in registers. Where tiles fill the card, a block takes all chunks of
// 256 rows and adds to the output itself; where they do not, blocks take a chunk each, leave f32
// sums in scratch memory, and a second kernel adds those in the same order: same bits. Without y
// only the tiles on and above the diagonal are computed, then mirrored. Bound by f32 arithmetic.
#include <algorithm>

#include "cuda/cuda_backend.h"
#include "cuda/device.h"
#include "cuda/launch.h"
#include "cuda/pack.h"
#include "cuda/scratch.h"

namespace espalier::cuda {
namespace {

// Rows whose products are summed in f32.
constexpr int64_t kChunk = 256;
constexpr int kTile = 128;
constexpr int kStep = 8;
constexpr int kThreads = 256;
// A thread's sums: four neighbours at its place in both halves of the tile, each way.
constexpr int kHalf = kTile / 2;
constexpr int kSums = 8;
// Threads that bring one row of an operand's tile to shared memory, four elements each.
constexpr int kAcross = kTile / 4;
static_assert(kStep * kAcross == kThreads && kChunk % kStep == 0);
// Scratch memory for the sums of chunks.
constexpr int64_t kScratchBytes = int64_t{64} << 20;

// The operation as the kernels see it.
struct Gram {
  const void* y;
  const void* x;
  double* output;
  float* sums;     // [chunks at once, height, width], or null: add to the output
  int64_t rows;    // N
  int64_t height;  // E
  int64_t width;   // D
  bool symmetric;
  bool accumulate;
};

// How many of four elements lie before the end, which is `distance` away.
__device__ inline int inside_of_four(int64_t distance) {
  return distance >= 4 ? 4 : distance <= 0 ? 0 : static_cast<int>(distance);
}

// Four neighbouring elements as f32; zeros from the `inside`-th on.
template <bool kPacks, class W>
__device__ inline Pack<float, 4> fetch(const W* data, int inside) {
  Pack<float, 4> values{};
  if constexpr (kPacks) {
    if (inside > 0) values = convert_pack<float>(load_pack<4>(data));
  } else {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      if (j < inside) values.value[j] = to_float(data[j]);
    }
  }
  return values;
}

// Steps of kStep rows from `start` to `end`, the last one perhaps short; 0 when there is nothing.
__device__ inline int steps_between(int64_t start, int64_t end) {
  return start < end ? static_cast<int>((end - start + kStep - 1) / kStep) : 0;
}

// sum[i][j] += Σ_k y[k][i] x[k][j] over kStep rows in shared memory, from the thread's places on.
__device__ inline void multiply_step(const float* y, const float* x, float (&sum)[kSums][kSums]) {
  // Not unrolled: fragments read ahead would push sums out of the registers.
#pragma unroll 1
  for (int k = 0; k < kStep; ++k) {
    const Pack<float, 4> y4[2] = {load_pack<4>(y + k * kTile), load_pack<4>(y + k * kTile + kHalf)};
    const Pack<float, 4> x4[2] = {load_pack<4>(x + k * kTile), load_pack<4>(x + k * kTile + kHalf)};
#pragma unroll
    for (int i = 0; i < kSums; ++i) {
#pragma unroll
      for (int j = 0; j < kSums; ++j) {
        sum[i][j] = fmaf(y4[i / 4].value[i % 4], x4[j / 4].value[j % 4], sum[i][j]);
      }
    }
  }
}

// A thread's rows of a stage: every eighth of the output, up to eight, before the end at
// `distance`.
__device__ inline int rows_left(int64_t distance) {
  return distance >= 64 ? 8 : distance <= 0 ? 0 : static_cast<int>(distance + 7) / 8;
}

// Sends the tile's sums of one chunk on, sixteen rows at a time through `stage` [16][kTile], so
// that neighbouring threads take neighbouring elements. Every thread must call it.
__device__ inline void leave(const Gram& a, bool fresh, unsigned tile_row, unsigned tile_column,
                             const float (&sum)[kSums][kSums], float* stage) {
  const int thread = static_cast<int>(threadIdx.x);
  float* own = stage + thread / 16 * kTile + thread % 16 * 4;
#pragma unroll
  for (int i = 0; i < kSums; ++i) {
    __syncthreads();
    store_pack(own, Pack<float, 4>{{sum[i][0], sum[i][1], sum[i][2], sum[i][3]}});
    store_pack(own + kHalf, Pack<float, 4>{{sum[i][4], sum[i][5], sum[i][6], sum[i][7]}});
    __syncthreads();
    const int64_t row = int64_t{tile_row} * kTile + i / 4 * kHalf + i % 4 + thread / kTile * 4;
    const int64_t column = int64_t{tile_column} * kTile + thread % kTile;
    const int rows = column < a.width ? rows_left(a.height - row) : 0;
    const float* from = stage + thread / kTile * kTile + thread % kTile;
    if (a.sums != nullptr) {
      float* to = a.sums + blockIdx.y * a.height * a.width + row * a.width + column;
      for (int r = 0; r < rows; ++r, from += 2 * kTile, to += 8 * a.width) *to = *from;
      continue;
    }
    double* to = a.output + row * a.width + column;
#pragma unroll 1
    for (int r = 0; r < rows; r += 4, from += 8 * kTile, to += 32 * a.width) {
      // Loads first, so that they are in flight together.
      double before[4] = {};
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        if (!fresh && r + j < rows) before[j] = to[j * 8 * a.width];
      }
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        if (r + j < rows) {
          to[j * 8 * a.width] = before[j] + static_cast<double>(from[j * 2 * kTile]);
        }
      }
    }
  }
  __syncthreads();
}

// blockIdx.x is the tile. With scratch memory a block takes chunk first_chunk + blockIdx.y, else
// all.
template <bool kPacks, class W>
__global__ void __launch_bounds__(kThreads, 2) multiply_tiles(Gram a, int64_t first_chunk) {
  alignas(16) __shared__ float shared[2 * 2 * kStep * kTile];
  // Counters of 32 bits are enough, and leave registers to the sums.
  const auto tiles_across = static_cast<unsigned>((a.width + kTile - 1) / kTile);
  const unsigned tile_row = blockIdx.x / tiles_across;
  const unsigned tile_column = blockIdx.x % tiles_across;
  if (a.symmetric && tile_column < tile_row) return;
  const int64_t start = a.sums == nullptr ? 0 : (first_chunk + blockIdx.y) * kChunk;
  const int64_t end = a.sums == nullptr || start + kChunk > a.rows ? a.rows : start + kChunk;
  const int steps = steps_between(start, end);
  // The elements that this thread brings.
  const int thread = static_cast<int>(threadIdx.x);
  const int64_t first = start + thread / kAcross;
  const int64_t y_column = int64_t{tile_row} * kTile + thread % kAcross * 4;
  const int64_t x_column = int64_t{tile_column} * kTile + thread % kAcross * 4;
  const int y_inside = inside_of_four(a.height - y_column);
  const int x_inside = inside_of_four(a.width - x_column);
  const int own_steps = steps_between(first, end);
  const W* y = static_cast<const W*>(a.y) + first * a.height + y_column;
  const W* x = static_cast<const W*>(a.x) + first * a.width + x_column;
  Pack<float, 4> next_y = fetch<kPacks>(y, own_steps > 0 ? y_inside : 0);
  Pack<float, 4> next_x = fetch<kPacks>(x, own_steps > 0 ? x_inside : 0);
  float sum[kSums][kSums] = {};
  for (int step = 0; step < steps; ++step) {
    // The other buffer was last read before the barrier of the step before.
    float* buffer = shared + step % 2 * 2 * kStep * kTile;
    store_pack(buffer + 4 * thread, next_y);
    store_pack(buffer + kStep * kTile + 4 * thread, next_x);
    __syncthreads();
    y += kStep * a.height;
    x += kStep * a.width;
    next_y = fetch<kPacks>(y, step + 1 < own_steps ? y_inside : 0);
    next_x = fetch<kPacks>(x, step + 1 < own_steps ? x_inside : 0);
    multiply_step(buffer + thread / 16 * 4, buffer + kStep * kTile + thread % 16 * 4, sum);
    if ((step + 1) % (kChunk / kStep) != 0 && step + 1 < steps) continue;
    leave(a, step < kChunk / kStep && !a.accumulate, tile_row, tile_column, sum, shared);
    for (auto& line : sum) {
      for (float& value : line) value = 0;
    }
  }
}

// output (+)= the chunks' sums in order.
__global__ void add_chunks(const float* sums, int64_t count, int64_t chunks, bool fresh,
                           double* output) {
  for (int64_t i = global_thread(); i < count; i += global_threads()) {
    double sum = fresh ? 0.0 : output[i];
#pragma unroll 4
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      sum += static_cast<double>(sums[chunk * count + i]);
    }
    output[i] = sum;
  }
}

constexpr int kMirror = 32;
constexpr int kMirrorRows = 8;

// output[r, c] = output[c, r] below the diagonal, in tiles that are turned in shared memory.
__global__ void mirror(double* output, int64_t size) {
  __shared__ double tile[kMirror][kMirror + 1];
  const int64_t across = (size + kMirror - 1) / kMirror;
  const int lane = static_cast<int>(threadIdx.x);
  for (int64_t t = blockIdx.x; t < across * across; t += gridDim.x) {
    const int64_t row = t / across * kMirror;
    const int64_t column = t % across * kMirror;
    if (row < column) continue;
    for (int i = static_cast<int>(threadIdx.y); i < kMirror; i += kMirrorRows) {
      const bool inside = column + i < size && row + lane < size;
      if (inside) tile[i][lane] = output[(column + i) * size + row + lane];
    }
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.y); i < kMirror; i += kMirrorRows) {
      const bool below = row + i < size && column + lane < row + i;
      if (below) output[(row + i) * size + column + lane] = tile[lane][i];
    }
    __syncthreads();
  }
}

template <class W>
Status multiply_chunks(CudaBackend& backend, const Gram& a, int64_t tiles, int64_t first,
                       int64_t count) {
  const bool packs = in_packs<4>(a.height, static_cast<const W*>(a.y)) &&
                     in_packs<4>(a.width, static_cast<const W*>(a.x));
  return launch(
      packs ? multiply_tiles<true, W> : multiply_tiles<false, W>,
      {.blocks = {static_cast<unsigned>(tiles), static_cast<unsigned>(count)}, .threads = kThreads},
      backend.stream(), a, first);
}

template <class W>
Status multiply_all(CudaBackend& backend, Gram a) {
  const int64_t chunks = (a.rows + kChunk - 1) / kChunk;
  const int64_t tiles = ((a.height + kTile - 1) / kTile) * ((a.width + kTile - 1) / kTile);
  const int64_t wanted = int64_t{2} * backend.multiprocessors();
  const int64_t elements = a.height * a.width;
  const int64_t fitting = kScratchBytes / (elements * static_cast<int64_t>(sizeof(float)));
  const int64_t together = std::min({chunks, (wanted + tiles - 1) / tiles, fitting});
  // Half of a symmetric matrix's tiles leave at once; that is no reason to go through memory.
  if (together < 2) return multiply_chunks<W>(backend, a, tiles, 0, 1);
  const Scratch<float> sums(backend, static_cast<size_t>(together * elements));
  if (sums.data() == nullptr) return out_of_scratch();
  a.sums = sums.data();
  for (int64_t first = 0; first < chunks; first += together) {
    const int64_t count = std::min(together, chunks - first);
    if (Status status = multiply_chunks<W>(backend, a, tiles, first, count); !status.ok()) {
      return status;
    }
    if (Status status = launch(add_chunks, {.blocks = blocks_for(elements, 256), .threads = 256},
                               backend.stream(), sums.data(), elements, count,
                               first == 0 && !a.accumulate, a.output);
        !status.ok()) {
      return status;
    }
  }
  return {};
}

}  // namespace

Status CudaBackend::gram(const GramArguments& a) {
  if (a.output.shape.elements() == 0) return {};
  const int64_t rows = a.x.shape.rows();
  if (rows == 0) return a.accumulate ? Status() : clear(a.output);
  const Gram gram{.y = a.y.given() ? a.y.data : a.x.data,
                  .x = a.x.data,
                  .output = a.output.as<double>(),
                  .sums = nullptr,
                  .rows = rows,
                  .height = a.output.shape[0],
                  .width = a.output.shape[1],
                  .symmetric = !a.y.given(),
                  .accumulate = a.accumulate};
  if (Status status = with_weight_type(
          a.x.dtype, [&](auto zero) { return multiply_all<decltype(zero)>(*this, gram); });
      !status.ok() || !gram.symmetric) {
    return status;
  }
  const int64_t across = (gram.width + kMirror - 1) / kMirror;
  return launch(mirror,
                {.blocks = blocks_for(across * across, 1), .threads = {kMirror, kMirrorRows}},
                stream(), gram.output, gram.width);
}

}  // namespace espalier::cuda
