// Rotary position embedding, half-rotation layout: with h = D/2, angle a = (offset + t) f_i,
// (x_i, x_{i+h}) -> scale (x_i cos a - x_{i+h} sin a, x_{i+h} cos a + x_i sin a).
// x, output: [B, T, H, D] f32. The angles are products in f64 (an f32 angle of position 100,000 is
// off by up to 0.004), brought into [-π/4, π/4] in f64; their cosines and sines are f32, which asks
// little of the slow f64 units of most cards. A thread makes those of some i of one position and
// rotates several heads by them; bound by memory.
#include "cuda/cuda_backend.h"
#include "cuda/launch.h"
#include "cuda/pack.h"

namespace espalier::cuda {
namespace {

// Heads that share a thread's cosines: enough to pay for them, few enough for many threads.
constexpr int64_t kHeads = 8;

struct Rotation {
  float cosine;
  float sine;
};

/// cos and sin of an angle, off by some 1e-7 at most. The functions of multiples of π have no slow
/// path for large arguments.
__device__ inline Rotation rotation(double angle) {
  const double half_turns = angle * 0.31830988618379067;
  const double quarters = rint(2 * half_turns);
  const auto rest = static_cast<float>(fma(-0.5, quarters, half_turns));
  const float c = cospif(rest);
  const float s = sinpif(rest);
  const auto quadrant = static_cast<unsigned>(static_cast<int64_t>(quarters)) % 4U;
  const float cosine = quadrant % 2 == 0 ? c : s;
  const float sine = quadrant % 2 == 0 ? s : c;
  return {quadrant == 1 || quadrant == 2 ? -cosine : cosine, quadrant >= 2 ? -sine : sine};
}

struct RopeProblem {
  const float* x;
  const float* inverse_frequencies;
  float* output;
  int64_t positions;  // B T
  int64_t length;     // T
  int64_t heads;
  int64_t half;
  int64_t offset;
  float scale;
  bool inverse;
};

template <int kCount>
__global__ void rope_kernel(RopeProblem p) {
  const int64_t packs = p.half / kCount;
  const int64_t parts = (p.heads + kHeads - 1) / kHeads;
  const int64_t count = p.positions * parts * packs;
  for (int64_t unit = global_thread(); unit < count; unit += global_threads()) {
    const int64_t i = unit % packs * kCount;
    const int64_t part = unit / packs % parts;
    const int64_t position = unit / packs / parts;
    const auto at = static_cast<double>(p.offset + position % p.length);
    Rotation turn[kCount];
#pragma unroll
    for (int e = 0; e < kCount; ++e) {
      turn[e] = rotation(at * static_cast<double>(p.inverse_frequencies[i + e]));
      turn[e].cosine *= p.scale;
      turn[e].sine *= p.inverse ? -p.scale : p.scale;
    }
    const int64_t end = (part + 1) * kHeads < p.heads ? (part + 1) * kHeads : p.heads;
    for (int64_t head = part * kHeads; head < end; ++head) {
      const int64_t at_first = (position * p.heads + head) * 2 * p.half + i;
      const auto first = load_pack<kCount>(p.x + at_first);
      const auto second = load_pack<kCount>(p.x + at_first + p.half);
      Pack<float, kCount> turned_first;
      Pack<float, kCount> turned_second;
#pragma unroll
      for (int e = 0; e < kCount; ++e) {
        const float a = first.value[e];
        const float b = second.value[e];
        turned_first.value[e] = fmaf(-b, turn[e].sine, a * turn[e].cosine);
        turned_second.value[e] = fmaf(a, turn[e].sine, b * turn[e].cosine);
      }
      store_pack(p.output + at_first, turned_first);
      store_pack(p.output + at_first + p.half, turned_second);
    }
  }
}

}  // namespace

Status CudaBackend::rope(const RopeArguments& a) {
  const Shape& shape = a.x.shape;
  if (shape.elements() == 0) return {};
  const RopeProblem p{.x = a.x.as<float>(),
                      .inverse_frequencies = a.inverse_frequencies.as<float>(),
                      .output = a.output.as<float>(),
                      .positions = shape[0] * shape[1],
                      .length = shape[1],
                      .heads = shape[2],
                      .half = shape[3] / 2,
                      .offset = a.offset,
                      .scale = a.scale,
                      .inverse = a.inverse};
  const bool packs = in_packs<4>(p.half, p.x) && in_packs<4>(p.half, p.output);
  constexpr int64_t kThreads = 128;
  const int64_t units = p.positions * ((p.heads + kHeads - 1) / kHeads) * p.half;
  return launch(packs ? rope_kernel<4> : rope_kernel<1>,
                {.blocks = blocks_for(packs ? units / 4 : units, kThreads), .threads = kThreads},
                stream_, p);
}

}  // namespace espalier::cuda
