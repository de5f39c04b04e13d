// y = a (+, -, ×) b, element by element, f32 or f64; y may be a or b.
#include "binding/cpu/cpu_backend.h"

namespace espalier::cpu {
namespace {

template <class T, class Operation>
void apply(const ElementwiseArguments& a, Operation operation) {
  const int64_t count = a.x.shape.elements();
  const T* x = a.x.as<T>();
  const T* y = a.y.as<T>();
  T* output = a.output.as<T>();
#pragma omp parallel for simd schedule(static) if (parallel : count > 65536)
  for (int64_t i = 0; i < count; ++i) output[i] = operation(x[i], y[i]);
}

template <class T>
void elementwise(const ElementwiseArguments& a) {
  switch (a.kind) {
    case ElementwiseKind::add:
      return apply<T>(a, [](T x, T y) { return x + y; });
    case ElementwiseKind::subtract:
      return apply<T>(a, [](T x, T y) { return x - y; });
    case ElementwiseKind::multiply:
      return apply<T>(a, [](T x, T y) { return x * y; });
  }
}

}  // namespace

Status CpuBackend::elementwise(const ElementwiseArguments& arguments) {
  if (arguments.x.dtype == DType::f64) {
    cpu::elementwise<double>(arguments);
  } else {
    cpu::elementwise<float>(arguments);
  }
  return {};
}

}  // namespace espalier::cpu
