// Gradients of RMS and of layer normalisation. With the normalised row n_c = (x_c - μ) f, where
// f = 1 / sqrt(mean_c((x_c - μ)²) + ε) and μ is the row's mean (layer normalisation) or 0, and with
// g_c = dy_c w_c:
//   dx_c = f (g_c - mean(g) - n_c mean(g n))   (without mean(g) when μ = 0), + upstream_c
//   dw_c = Σ_rows dy_c n_c,   db_c = Σ_rows dy_c.
// dy, x, dx: [rows, D] f32; w: [D] f32, bf16 or f16; dw, db: [D] f32. One row to a warp or a block
// for dx, which keeps f and μ for the columns' sums. Those are f32 within chunks of rows and f64
// over the chunks in order. Bound by memory: three reads or writes of an element, five with dw.
#include <algorithm>

#include "cuda/cuda_backend.h"
#include "cuda/norms.h"
#include "cuda/scratch.h"

namespace espalier::cuda {
namespace {

/// What the columns' sums need of a row.
struct RowStatistics {
  float mean;    ///< 0 without centring
  float factor;  ///< f above
};

template <int kCount>
struct Held {
  Pack<float, kCount> deviation;  ///< x, later x - μ
  Pack<float, kCount> weighted;   ///< dy w
};

template <int kCount, bool kCentred, class W>
__global__ void __launch_bounds__(kTeam)
    row_kernel(const float* gradient, const float* x, const W* weight, const float* upstream,
               float* x_gradient, RowStatistics* statistics, int64_t rows, int64_t columns,
               float epsilon) {
  __shared__ float scratch[32];
  const auto count = static_cast<float>(columns);
  for_team_rows(rows, [&](int64_t row) {
    const int64_t start = row * columns;
    const auto load = [&](int64_t c) {
      Held<kCount> held{load_pack<kCount>(x + start + c), load_pack<kCount>(gradient + start + c)};
      const auto w = load_pack<kCount>(weight + c);
#pragma unroll
      for (int e = 0; e < kCount; ++e) held.weighted.value[e] *= to_float(w.value[e]);
      return held;
    };
    const HeldRow<kCount, Held<kCount>> held(columns, load);
    float mean = 0;
    float offset = 0;
    if constexpr (kCentred) {
      held.for_each(load, [&](int64_t, const Held<kCount>& h) {
#pragma unroll
        for (int e = 0; e < kCount; ++e) {
          mean += h.deviation.value[e];
          offset += h.weighted.value[e];
        }
      });
      mean = team_sum(mean, scratch) / count;
      offset = team_sum(offset, scratch);
    }
    float squares = 0;
    float along = 0;
    held.for_each(load, [&](int64_t, const Held<kCount>& h) {
#pragma unroll
      for (int e = 0; e < kCount; ++e) {
        const float deviation = h.deviation.value[e] - mean;
        squares += deviation * deviation;
        along += h.weighted.value[e] * deviation;
      }
    });
    squares = team_sum(squares, scratch);
    along = team_sum(along, scratch);
    const float factor = 1.0F / sqrtf(squares / count + epsilon);
    const float pull = -factor * factor * factor * (along / count);
    offset *= -factor / count;
    if (statistics != nullptr && threadIdx.x == 0) statistics[row] = {mean, factor};
    held.for_each(load, [&](int64_t c, const Held<kCount>& h) {
      Pack<float, kCount> result;
#pragma unroll
      for (int e = 0; e < kCount; ++e) {
        result.value[e] =
            fmaf(h.deviation.value[e] - mean, pull, fmaf(h.weighted.value[e], factor, offset));
      }
      if (upstream != nullptr) {
        const auto other = load_pack<kCount>(upstream + start + c);
#pragma unroll
        for (int e = 0; e < kCount; ++e) result.value[e] += other.value[e];
      }
      store_pack(x_gradient + start + c, result);
    });
  });
}

constexpr int kTile = 32;   // columns of a block
constexpr int kLines = 8;   // rows at once
constexpr int kSums = 256;  // threads of the last sum

/// dw and db of rows [chunk_rows blockIdx.y, ...) into line blockIdx.y of [chunks, D]; either may
/// be null.
__global__ void column_kernel(const float* gradient, const float* x,
                              const RowStatistics* statistics, float* dw, float* db, int64_t rows,
                              int64_t columns, int64_t chunk_rows) {
  __shared__ float sums[2][kLines][kTile];
  const int64_t c = static_cast<int64_t>(blockIdx.x) * kTile + threadIdx.x;
  const int64_t first = static_cast<int64_t>(blockIdx.y) * chunk_rows;
  const int64_t end = first + chunk_rows < rows ? first + chunk_rows : rows;
  float weight_sum = 0;
  float bias_sum = 0;
  if (c < columns) {
#pragma unroll 4
    for (int64_t row = first + threadIdx.y; row < end; row += kLines) {
      const float dy = gradient[row * columns + c];
      if (dw != nullptr) {
        const RowStatistics s = statistics[row];
        weight_sum = fmaf(dy, (x[row * columns + c] - s.mean) * s.factor, weight_sum);
      }
      bias_sum += dy;
    }
  }
  sums[0][threadIdx.y][threadIdx.x] = weight_sum;
  sums[1][threadIdx.y][threadIdx.x] = bias_sum;
  __syncthreads();
  // Line 0 adds up dw, line 1 db.
  float* output = threadIdx.y == 0 ? dw : db;
  if (threadIdx.y > 1 || output == nullptr || c >= columns) return;
  float sum = 0;
  for (int line = 0; line < kLines; ++line) sum += sums[threadIdx.y][line][threadIdx.x];
  output[blockIdx.y * columns + c] = sum;
}

__global__ void chunk_kernel(const float* partial, float* output, int64_t chunks, int64_t columns) {
  const int64_t c = global_thread();
  if (c >= columns) return;
  double sum = 0;
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    sum += static_cast<double>(partial[chunk * columns + c]);
  }
  output[c] = static_cast<float>(sum);
}

Status row_gradients(const CudaBackend& backend, const NormBackwardArguments& a,
                     RowStatistics* statistics) {
  const int64_t rows = a.x.shape.rows();
  const int64_t columns = a.x.shape.columns();
  return with_weight_type(a.weight.dtype, [&](auto type) {
    using W = decltype(type);
    const auto* gradient = a.gradient.as<float>();
    const auto* x = a.x.as<float>();
    const auto* weight = a.weight.as<W>();
    const auto* upstream = a.upstream.as<float>();
    auto* x_gradient = a.x_gradient.as<float>();
    const bool packs = in_packs<4>(columns, gradient) && in_packs<4>(columns, x) &&
                       in_packs<4>(columns, weight) && in_packs<4>(columns, upstream) &&
                       in_packs<4>(columns, x_gradient);
    const auto kernel = packs ? (a.centred ? row_kernel<4, true, W> : row_kernel<4, false, W>)
                              : (a.centred ? row_kernel<1, true, W> : row_kernel<1, false, W>);
    return launch(kernel, team_grid(rows, packs ? columns / 4 : columns), backend.stream(),
                  gradient, x, weight, upstream, x_gradient, statistics, rows, columns, a.epsilon);
  });
}

}  // namespace

Status CudaBackend::norm_backward(const NormBackwardArguments& a) {
  const int64_t rows = a.x.shape.rows();
  const int64_t columns = a.x.shape.columns();
  auto* dw = a.weight_gradient.as<float>();
  auto* db = a.bias_gradient.as<float>();
  if (rows * columns == 0) {
    Status status = dw == nullptr ? Status() : clear(a.weight_gradient);
    return status.ok() && db != nullptr ? clear(a.bias_gradient) : status;
  }
  if (dw == nullptr && db == nullptr) return row_gradients(*this, a, nullptr);

  // Chunks enough to fill the card, and short enough for their sums in f32.
  const int64_t tiles = (columns + kTile - 1) / kTile;
  const int64_t wanted =
      std::clamp<int64_t>(8 * multiprocessors_ / tiles, (rows + 1023) / 1024, (rows + 31) / 32);
  const int64_t chunk_rows = (rows + wanted - 1) / wanted;
  const int64_t chunks = (rows + chunk_rows - 1) / chunk_rows;
  const Scratch<RowStatistics> statistics(*this, static_cast<size_t>(rows));
  const auto partials = static_cast<size_t>(chunks * columns);
  const Scratch<float> partial_dw(*this, dw == nullptr ? 0 : partials);
  const Scratch<float> partial_db(*this, db == nullptr ? 0 : partials);
  if (statistics.data() == nullptr || partial_dw.data() == nullptr ||
      partial_db.data() == nullptr) {
    return out_of_scratch();
  }
  if (Status status = row_gradients(*this, a, statistics.data()); !status.ok()) return status;
  if (Status status =
          launch(column_kernel,
                 {.blocks = {static_cast<unsigned>(tiles), static_cast<unsigned>(chunks)},
                  .threads = {kTile, kLines}},
                 stream_, a.gradient.as<float>(), a.x.as<float>(), statistics.data(),
                 dw == nullptr ? nullptr : partial_dw.data(),
                 db == nullptr ? nullptr : partial_db.data(), rows, columns, chunk_rows);
      !status.ok()) {
    return status;
  }
  const auto add_chunks = [&](const float* partial, float* output) -> Status {
    if (output == nullptr) return {};
    return launch(
        chunk_kernel,
        {.blocks = {static_cast<unsigned>((columns + kSums - 1) / kSums)}, .threads = kSums},
        stream_, partial, output, chunks, columns);
  };
  Status status = add_chunks(partial_dw.data(), dw);
  return status.ok() ? add_chunks(partial_db.data(), db) : status;
}

}  // namespace espalier::cuda
