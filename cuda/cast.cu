// Conversion between element types; see convert.h for the rounding. Bound by memory: a thread takes
// four elements at a time.
#include "binding/core/convert.h"
#include "cuda/cuda_backend.h"
#include "cuda/launch.h"
#include "cuda/pack.h"

namespace espalier::cuda {
namespace {

template <class From, class To>
__global__ void cast_kernel(const From* x, To* output, int64_t count, bool aligned) {
  const int64_t fours = aligned ? count / 4 : 0;
  for (int64_t i = global_thread(); i < fours; i += global_threads()) {
    const auto in = load_pack<4>(x + 4 * i);
    Pack<To, 4> out;
#pragma unroll
    for (int e = 0; e < 4; ++e) out.value[e] = convert<To>(in.value[e]);
    store_pack(output + 4 * i, out);
  }
  for (int64_t i = 4 * fours + global_thread(); i < count; i += global_threads()) {
    output[i] = convert<To>(x[i]);
  }
}

template <class From, class To>
Status cast_elements(const CudaBackend& backend, const CastArguments& a) {
  constexpr int64_t kThreads = 256;
  const int64_t count = a.x.shape.elements();
  const auto* x = a.x.as<From>();
  auto* output = a.output.as<To>();
  return launch(cast_kernel<From, To>,
                {.blocks = blocks_for((count + 3) / 4, kThreads), .threads = kThreads},
                backend.stream(), x, output, count, in_packs<4>(0, x) && in_packs<4>(0, output));
}

}  // namespace

Status CudaBackend::cast(const CastArguments& a) {
  if (a.x.dtype == a.output.dtype) return copy(a.output, a.x);
  return with_element_type(a.x.dtype, [&](auto from) {
    return with_element_type(a.output.dtype, [&](auto to) -> Status {
      if constexpr (std::is_same_v<decltype(from), decltype(to)>) {
        return {};
      } else {
        return cast_elements<decltype(from), decltype(to)>(*this, a);
      }
    });
  });
}

}  // namespace espalier::cuda
