// y[r, c] = x[r, c] f[r], or f[c]: x f32, f64, bf16 or f16; f f32 or f64. The product is formed in
// f64 when either is f64, otherwise in f32, and rounded to x's type.
#include "binding/core/convert.h"
#include "binding/cpu/cpu_backend.h"

namespace espalier::cpu {
namespace {

template <class T, class F>
void scale(const ScaleArguments& a) {
  using Product =
      std::conditional_t<std::is_same_v<T, double> || std::is_same_v<F, double>, double, float>;
  const int64_t rows = a.x.shape.rows();
  const int64_t columns = a.x.shape.columns();
  const F* factors = a.factors.as<F>();
#pragma omp parallel for schedule(static) if (rows * columns > 65536)
  for (int64_t row = 0; row < rows; ++row) {
    const T* x = a.x.as<T>() + row * columns;
    T* y = a.output.as<T>() + row * columns;
    if (a.columns) {
      for (int64_t c = 0; c < columns; ++c) {
        y[c] = convert<T>(convert<Product>(x[c]) * static_cast<Product>(factors[c]));
      }
    } else {
      const auto factor = static_cast<Product>(factors[row]);
      for (int64_t c = 0; c < columns; ++c) y[c] = convert<T>(convert<Product>(x[c]) * factor);
    }
  }
}

}  // namespace

Status CpuBackend::scale(const ScaleArguments& arguments) {
  if (arguments.x.shape.elements() == 0) return {};
  with_element_type(arguments.x.dtype, [&](auto x) {
    using T = decltype(x);
    if constexpr (!std::integral<T>) {
      if (arguments.factors.dtype == DType::f64) {
        cpu::scale<T, double>(arguments);
      } else {
        cpu::scale<T, float>(arguments);
      }
    }
  });
  return {};
}

}  // namespace espalier::cpu
