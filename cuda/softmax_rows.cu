// Cross-entropy of rows of logits z: loss = log Σ exp(z) - z[target], and its gradient
// factor (softmax(z) - one_hot(target)). A warp takes a row, or a block where rows are long. One
// pass finds the largest logit and Σ exp(z - largest) together: a thread that meets a larger logit
// scales its sum down. A second pass writes the gradient. Exponentials are f32; four of them are
// added in f32, the rest in f64. NaN and infinity stay in their row. Bound by memory: two reads and
// one write of an element.
#include <limits>
#include <string>

#include "cuda/device.h"
#include "cuda/indices.h"
#include "cuda/launch.h"
#include "cuda/pack.h"
#include "cuda/scratch.h"
#include "cuda/softmax_rows.h"

namespace espalier::cuda {
namespace {

using Position = unsigned long long;

constexpr int kThreads = 512;
// Classes from which a row is worth a block.
constexpr int64_t kLong = 1024;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// What check_targets finds.
struct Found {
  Position counted;
  Position wrong;  // first position outside, or all ones
};

template <class Target>
__global__ void look_at_targets(const Target* targets, int64_t count, int64_t classes,
                                int64_t ignored, Found* found) {
  Position counted = 0;
  for (int64_t i = global_thread(); i < count; i += global_threads()) {
    const auto target = static_cast<int64_t>(targets[i]);
    if (target == ignored) continue;
    ++counted;
    if (target < 0 || target >= classes) atomicMin(&found->wrong, static_cast<Position>(i));
  }
  counted = warp_sum(counted);
  if (threadIdx.x % 32 == 0) atomicAdd(&found->counted, counted);
}

// The largest of some logits, and Σ exp(logit - largest). NaN is never the largest, but stays in
// the sum.
struct Sum {
  float largest = -kInfinity;
  double exponentials = 0;
};

// What to subtract: with nothing but -infinity so far, exponentials are 0 whatever is subtracted.
__device__ inline float shift_of(float largest) { return largest == -kInfinity ? 0.0F : largest; }

template <int kPack>
__device__ inline void add(Sum& sum, const Pack<float, kPack>& z) {
  float largest = sum.largest;
  for (int i = 0; i < kPack; ++i) largest = z.value[i] > largest ? z.value[i] : largest;
  if (largest > sum.largest) {
    sum.exponentials *= static_cast<double>(expf(sum.largest - largest));
    sum.largest = largest;
  }
  const float shift = shift_of(largest);
  float exponentials = 0;
  for (int i = 0; i < kPack; ++i) exponentials += expf(z.value[i] - shift);
  sum.exponentials += static_cast<double>(exponentials);
}

__device__ inline float block_max(float value, float* scratch) {
  const unsigned lane = threadIdx.x % 32;
  value = warp_max(value);
  if (lane == 0) scratch[threadIdx.x / 32] = value;
  __syncthreads();
  value = warp_max(lane < blockDim.x / 32 ? scratch[lane] : -kInfinity);
  __syncthreads();
  return value;
}

// The sum over all threads that share a row, in all of them.
template <bool kBlock>
__device__ inline Sum together(const Sum& sum, float* floats, double* doubles) {
  const float largest = kBlock ? block_max(sum.largest, floats) : warp_max(sum.largest);
  const auto scale = static_cast<double>(expf(sum.largest - shift_of(largest)));
  // A thread without a largest logit has no exponentials, or NaN.
  const double scaled = sum.largest == -kInfinity ? sum.exponentials : sum.exponentials * scale;
  return {largest, kBlock ? block_sum(scaled, doubles) : warp_sum(scaled)};
}

template <bool kBlock, int kPack, class Target>
__global__ void __launch_bounds__(kThreads) take_rows(SoftmaxRows a, const Target* targets) {
  __shared__ float floats[32];
  __shared__ double doubles[32];
  constexpr int64_t kGroup = kBlock ? kThreads : 32;
  constexpr int64_t kGroups = kThreads / kGroup;
  const int64_t first = threadIdx.x % kGroup * kPack;
  for (int64_t row = blockIdx.x * kGroups + threadIdx.x / kGroup; row < a.rows;
       row += gridDim.x * kGroups) {
    const auto target = static_cast<int64_t>(targets[row]);
    const float* z = a.logits + row * a.classes;
    float* gradient = a.gradient == nullptr ? nullptr : a.gradient + row * a.classes;
    if (target == a.ignored) {
      if (first == 0) a.losses[row] = 0;
      for (int64_t c = first; gradient != nullptr && c < a.classes; c += kGroup * kPack) {
        store_pack(gradient + c, Pack<float, kPack>{});
      }
      continue;
    }
    Sum sum;
    for (int64_t c = first; c < a.classes; c += kGroup * kPack) add(sum, load_pack<kPack>(z + c));
    sum = together<kBlock>(sum, floats, doubles);
    if (first == 0) {
      a.losses[row] = static_cast<float>(log(sum.exponentials) + (static_cast<double>(sum.largest) -
                                                                  static_cast<double>(z[target])));
    }
    if (gradient == nullptr) continue;
    // The target's logit has been read before its gradient takes its place.
    if constexpr (kBlock) {
      __syncthreads();
    } else {
      __syncwarp();
    }
    const auto share = static_cast<float>(static_cast<double>(a.factor) / sum.exponentials);
    for (int64_t c = first; c < a.classes; c += kGroup * kPack) {
      auto values = load_pack<kPack>(z + c);
      for (int i = 0; i < kPack; ++i) {
        const float probability = expf(values.value[i] - sum.largest) * share;
        values.value[i] = c + i == target ? probability - a.factor : probability;
      }
      store_pack(gradient + c, values);
    }
  }
}

template <bool kBlock, class Target>
Status launch_rows(const CudaBackend& backend, const SoftmaxRows& a, const Target* targets) {
  const bool packs = in_packs<4>(a.classes, a.logits) && in_packs<4>(a.classes, a.gradient);
  return launch(packs ? take_rows<kBlock, 4, Target> : take_rows<kBlock, 1, Target>,
                {.blocks = blocks_for(a.rows, kBlock ? 1 : kThreads / 32), .threads = kThreads},
                backend.stream(), a, targets);
}

}  // namespace

Status softmax_rows(const CudaBackend& backend, const SoftmaxRows& a) {
  return with_index_type(a.targets, [&](const auto* targets) {
    return a.classes < kLong ? launch_rows<false>(backend, a, targets + a.first)
                             : launch_rows<true>(backend, a, targets + a.first);
  });
}

Status check_targets(CudaBackend& backend, const char* name, const ConstView& targets,
                     int64_t classes, int64_t ignored, int64_t* counted) {
  *counted = 0;
  const int64_t count = targets.shape.elements();
  if (count == 0) return {};
  const Scratch<Found> found(backend, 1);
  if (found.data() == nullptr) return out_of_scratch();
  Found result{.counted = 0, .wrong = ~Position{0}};
  // Two numbers of eight bytes.
  const Shape shape{2};
  if (Status status = backend.copy_from_host(
          {.data = found.data(), .dtype = DType::i64, .shape = shape}, &result);
      !status.ok()) {
    return status;
  }
  if (Status status = with_index_type(
          targets,
          [&](const auto* values) {
            return launch(look_at_targets<std::remove_cvref_t<decltype(*values)>>,
                          {.blocks = blocks_for(count, 256, 1024), .threads = 256},
                          backend.stream(), values, count, classes, ignored, found.data());
          });
      !status.ok()) {
    return status;
  }
  if (Status status = backend.copy_to_host(
          &result, {.data = found.data(), .dtype = DType::i64, .shape = shape});
      !status.ok()) {
    return status;
  }
  *counted = static_cast<int64_t>(result.counted);
  if (result.wrong == ~Position{0}) return {};
  return with_index_type(targets, [&](const auto* values) -> Status {
    std::remove_cvref_t<decltype(*values)> value{};
    if (Status status = backend.copy_to_host(
            &value, {.data = values + result.wrong, .dtype = targets.dtype, .shape = {}});
        !status.ok()) {
      return status;
    }
    return {ErrorCode::shape, std::string(name) + ": expected classes in [0, " +
                                  std::to_string(classes) + ") or " + std::to_string(ignored) +
                                  ", got " + std::to_string(value) + " at " +
                                  std::to_string(result.wrong)};
  });
}

}  // namespace espalier::cuda
