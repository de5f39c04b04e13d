// y[r, c] = x[r, c] f[r], or f[c]: x f32, f64, bf16 or f16; f f32 or f64. The product is formed in
// f64 when either is f64, otherwise in f32, and rounded to x's type. Bound by memory: a thread
// takes 16 bytes of a row at a time, or an element where rows do not consist of such packs.
#include "binding/core/convert.h"
#include "cuda/cuda_backend.h"
#include "cuda/pack.h"
#include "cuda/rows.h"

namespace espalier::cuda {
namespace {

template <int kCount, class T, class F>
__global__ void scale_kernel(const T* x, const F* factors, T* output, int64_t rows, int64_t columns,
                             bool by_column) {
  using Product =
      std::conditional_t<std::is_same_v<T, double> || std::is_same_v<F, double>, double, float>;
  for_row_elements(rows, columns / kCount, [&](int64_t row, int64_t pack) {
    const int64_t column = pack * kCount;
    const auto in = load_pack<kCount>(x + row * columns + column);
    Pack<T, kCount> out;
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const auto factor = static_cast<Product>(factors[by_column ? column + i : row]);
      out.value[i] = convert<T>(convert<Product>(in.value[i]) * factor);
    }
    store_pack(output + row * columns + column, out);
  });
}

template <class T, class F>
Status scale_rows(const CudaBackend& backend, const ScaleArguments& a) {
  constexpr int kCount = 16 / sizeof(T);
  const int64_t rows = a.x.shape.rows();
  const int64_t columns = a.x.shape.columns();
  const auto* x = a.x.as<T>();
  auto* output = a.output.as<T>();
  const bool packs = in_packs<kCount>(columns, x) && in_packs<kCount>(columns, output);
  return launch(packs ? scale_kernel<kCount, T, F> : scale_kernel<1, T, F>,
                row_grid(rows, packs ? columns / kCount : columns), backend.stream(), x,
                a.factors.as<F>(), output, rows, columns, a.columns);
}

}  // namespace

Status CudaBackend::scale(const ScaleArguments& a) {
  return with_element_type(a.x.dtype, [&](auto x) -> Status {
    using T = decltype(x);
    if constexpr (std::is_integral_v<T>) {
      return {};
    } else {
      return a.factors.dtype == DType::f64 ? scale_rows<T, double>(*this, a)
                                           : scale_rows<T, float>(*this, a);
    }
  });
}

}  // namespace espalier::cuda
