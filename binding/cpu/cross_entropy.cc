// Cross-entropy of a classifier over rows of hidden states, a chunk of logits at a time:
// loss[n] = log Σ_v exp(z_v) - z_t with z = W h_n + b and t = targets[n]. h: [N, D] f32; W: [V, D]
// and b: [V] f32, bf16 or f16. The largest z is subtracted before exp; exponentials are f32 and
// summed in f64. Rows are independent, so neither the chunk nor the threads change their bits.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "binding/cpu/cross_entropy.cc"
#include "hwy/foreach_target.h"  // keeps its place before highway.h
#include "hwy/highway.h"
//
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/indices.h"
#include "binding/cpu/scratch.h"
#include "binding/cpu/simd_math.h"
#include "binding/cpu/weight_product.h"

HWY_BEFORE_NAMESPACE();
namespace espalier::cpu::HWY_NAMESPACE {
namespace {

float largest(const float* z, int64_t count) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  float best = -std::numeric_limits<float>::infinity();
  int64_t i = 0;
  if (count >= lanes) {
    auto most = hn::LoadU(d, z);
    for (i = lanes; i + lanes <= count; i += lanes) most = hn::Max(most, hn::LoadU(d, z + i));
    best = hn::GetLane(hn::MaxOfLanes(d, most));
  }
  for (; i < count; ++i) best = std::max(best, z[i]);
  return best;
}

// log Σ exp(z - best).
double log_sum(const float* z, int64_t count, float best) {
  const hn::ScalableTag<float> d;
  const hn::Half<decltype(d)> dh;
  const hn::Rebind<double, decltype(dh)> dd;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto shift = hn::Set(d, best);
  auto lower = hn::Zero(dd);
  auto upper = hn::Zero(dd);
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto e = cpu::HWY_NAMESPACE::exp(d, hn::Sub(hn::LoadU(d, z + i), shift));
    lower = hn::Add(lower, hn::PromoteTo(dd, hn::LowerHalf(dh, e)));
    upper = hn::Add(upper, hn::PromoteTo(dd, hn::UpperHalf(dh, e)));
  }
  double sum = hn::GetLane(hn::SumOfLanes(dd, hn::Add(lower, upper)));
  for (; i < count; ++i) {
    sum += hn::GetLane(cpu::HWY_NAMESPACE::exp(d, hn::Set(d, z[i] - best)));
  }
  return std::log(sum);
}

// -log softmax(z)[target].
float loss_of(const float* z, int64_t count, int64_t target) {
  const float best = largest(z, count);
  return static_cast<float>(log_sum(z, count, best) +
                            (static_cast<double>(best) - static_cast<double>(z[target])));
}

}  // namespace
}  // namespace espalier::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace espalier::cpu {
namespace {

HWY_EXPORT(loss_of);

// Bytes of logits held at once when the caller does not say.
constexpr int64_t kChunkBytes = int64_t{16} << 20;

template <class Target>
Status check_targets(const CrossEntropyArguments& a, const Target* targets, int64_t vocabulary) {
  for (int64_t i = 0; i < a.targets.shape.elements(); ++i) {
    const auto target = static_cast<int64_t>(targets[i]);
    if (target != a.ignore_index && (target < 0 || target >= vocabulary)) {
      return {ErrorCode::shape, "targets: expected classes in [0, " + std::to_string(vocabulary) +
                                    ") or " + std::to_string(a.ignore_index) + ", got " +
                                    std::to_string(target) + " at " + std::to_string(i)};
    }
  }
  return {};
}

template <class Target>
Status cross_entropy(const CrossEntropyArguments& a, const Target* targets) {
  const int64_t rows = a.hidden.shape[0];
  const int64_t width = a.hidden.shape[1];
  const int64_t vocabulary = a.weight.shape[0];
  if (Status status = check_targets(a, targets, vocabulary); !status.ok()) return status;
  const int64_t row_bytes = std::max<int64_t>(1, vocabulary) * int64_t{sizeof(float)};
  const int64_t wanted = a.chunk > 0 ? a.chunk : kChunkBytes / row_bytes;
  const int64_t chunk = std::min(rows, std::max<int64_t>(1, wanted));
  const Scratch<float> logits(static_cast<size_t>(chunk * vocabulary));
  if (logits.data() == nullptr) return out_of_scratch();
  for (int64_t start = 0; start < rows; start += chunk) {
    const int64_t count = std::min(chunk, rows - start);
    Status status = weight_product(a.hidden.as<float>() + start * width, count, a.weight, a.bias,
                                   logits.data(), a.products);
    if (!status.ok()) return status;
#pragma omp parallel for schedule(static) if (count * vocabulary > 16384)
    for (int64_t row = 0; row < count; ++row) {
      const auto target = static_cast<int64_t>(targets[start + row]);
      float loss = 0;
      if (target != a.ignore_index) {
        loss = HWY_DYNAMIC_DISPATCH(loss_of)(logits.data() + row * vocabulary, vocabulary, target);
      }
      a.output.as<float>()[start + row] = loss;
    }
  }
  return {};
}

}  // namespace

Status CpuBackend::cross_entropy(const CrossEntropyArguments& arguments) {
  return with_index_type(arguments.targets, [&](const auto* targets) {
    return cpu::cross_entropy(arguments, targets);
  });
}

}  // namespace espalier::cpu
#endif
