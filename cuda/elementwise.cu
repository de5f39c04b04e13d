// y = a (+, -, ×) b, element by element, f32 or f64; y may be a or b. Bound by memory: two reads
// and a write of an element.
#include "cuda/cuda_backend.h"
#include "cuda/pack.h"
#include "cuda/pointwise.h"

namespace espalier::cuda {
namespace {

struct Add {
  template <class T>
  __device__ T operator()(T x, T y) const {
    return x + y;
  }
};

struct Subtract {
  template <class T>
  __device__ T operator()(T x, T y) const {
    return x - y;
  }
};

struct Multiply {
  template <class T>
  __device__ T operator()(T x, T y) const {
    return x * y;
  }
};

template <class Operation>
__global__ void wide_kernel(Operation operation, const double* x, const double* y, double* output,
                            int64_t count, bool aligned) {
  const int64_t pairs = aligned ? count / 2 : 0;
  for (int64_t i = global_thread(); i < pairs; i += global_threads()) {
    const auto a = load_pack<2>(x + 2 * i);
    const auto b = load_pack<2>(y + 2 * i);
    store_pack(output + 2 * i, Pack<double, 2>{{operation(a.value[0], b.value[0]),
                                                operation(a.value[1], b.value[1])}});
  }
  for (int64_t i = 2 * pairs + global_thread(); i < count; i += global_threads()) {
    output[i] = operation(x[i], y[i]);
  }
}

template <class Operation>
Status apply(const CudaBackend& backend, const ElementwiseArguments& a, Operation operation) {
  const int64_t count = a.x.shape.elements();
  if (a.x.dtype == DType::f32) {
    return pointwise(backend, operation, Outputs{a.output.as<float>()}, count, a.x.as<float>(),
                     a.y.as<float>());
  }
  const auto* x = a.x.as<double>();
  const auto* y = a.y.as<double>();
  auto* output = a.output.as<double>();
  const bool aligned = in_packs<2>(0, x) && in_packs<2>(0, y) && in_packs<2>(0, output);
  constexpr int64_t kThreads = 256;
  return launch(wide_kernel<Operation>,
                {.blocks = blocks_for((count + 1) / 2, kThreads), .threads = kThreads},
                backend.stream(), operation, x, y, output, count, aligned);
}

}  // namespace

Status CudaBackend::elementwise(const ElementwiseArguments& a) {
  switch (a.kind) {
    case ElementwiseKind::add:
      return apply(*this, a, Add{});
    case ElementwiseKind::subtract:
      return apply(*this, a, Subtract{});
    case ElementwiseKind::multiply:
      break;
  }
  return apply(*this, a, Multiply{});
}

}  // namespace espalier::cuda
