// Conversion between element types; see convert.h for the rounding.
#include "binding/core/convert.h"
#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/widen.h"

namespace espalier::cpu {

Status CpuBackend::cast(const CastArguments& arguments) {
  const int64_t count = arguments.x.shape.elements();
  if (is_weight_dtype(arguments.x.dtype) && arguments.output.dtype == DType::f32) {
    widen_parallel(arguments.x.data, arguments.x.dtype, count, arguments.output.as<float>());
    return {};
  }
  with_element_type(arguments.x.dtype, [&](auto from) {
    with_element_type(arguments.output.dtype, [&](auto to) {
      const auto* source = arguments.x.as<decltype(from)>();
      auto* target = arguments.output.as<decltype(to)>();
#pragma omp parallel for schedule(static) if (count > 65536)
      for (int64_t i = 0; i < count; ++i) target[i] = convert<decltype(to)>(source[i]);
    });
  });
  return {};
}

}  // namespace espalier::cpu
