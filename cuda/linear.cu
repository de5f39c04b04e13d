// Dense layer: y = x Wᵀ + b. x: [M, K] f32; W: [N, K] and b: [N] f32, bf16 or f16; y: [M, N] f32,
// accumulated in f32. Its gradients: dx = dy W and dW = dyᵀ x. product.h multiplies.
#include "cuda/cuda_backend.h"
#include "cuda/product.h"

namespace espalier::cuda {

Status CudaBackend::linear(const LinearArguments& a) {
  const int64_t n = a.weight.shape[0];
  const int64_t k = a.weight.shape[1];
  return multiply(
      *this,
      {.m = a.output.shape.rows(),
       .n = n,
       .k = k,
       .a = {.data = a.x.data, .dtype = DType::f32, .stride = k},
       .b = {.data = a.weight.data, .dtype = a.weight.dtype, .stride = k, .transposed = true},
       .c = a.output.as<float>(),
       .c_stride = n,
       .bias = a.bias,
       .products = a.products});
}

Status CudaBackend::linear_input_gradient(const LinearInputGradientArguments& a) {
  const int64_t n = a.weight.shape[0];
  const int64_t k = a.weight.shape[1];
  return multiply(*this, {.m = a.output.shape.rows(),
                          .n = k,
                          .k = n,
                          .a = {.data = a.gradient.data, .dtype = DType::f32, .stride = n},
                          .b = {.data = a.weight.data, .dtype = a.weight.dtype, .stride = k},
                          .c = a.output.as<float>(),
                          .c_stride = k,
                          .bias = {},
                          .products = a.products});
}

Status CudaBackend::linear_weight_gradient(const LinearWeightGradientArguments& a) {
  const int64_t n = a.output.shape[0];
  const int64_t k = a.output.shape[1];
  return multiply(
      *this, {.m = n,
              .n = k,
              .k = a.x.shape.rows(),
              .a = {.data = a.gradient.data, .dtype = DType::f32, .stride = n, .transposed = true},
              .b = {.data = a.x.data, .dtype = DType::f32, .stride = k},
              .c = a.output.as<float>(),
              .c_stride = k,
              .bias = {},
              .products = a.products});
}

}  // namespace espalier::cuda
