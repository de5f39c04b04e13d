// Elementwise activations over f32 and their gradients: GELU (exact and by tanh), tanh, ReLU. Bound
// by memory: two and three reads or writes of an element.
#include "cuda/cuda_backend.h"
#include "cuda/pointwise.h"

namespace espalier::cuda {
namespace {

/// Φ(x); the tail far below zero keeps its relative accuracy.
__device__ inline float normal_cdf(float x) { return 0.5F * erfcf(x * -0.70710678F); }

/// tanh(√(2/π) (x + 0.044715 x³)).
__device__ inline float inner_tanh(float x) {
  return tanhf(0.79788456F * fmaf(0.044715F * x * x, x, x));
}

struct Gelu {
  __device__ float operator()(float x) const { return x * normal_cdf(x); }
  __device__ static float slope(float x) {
    return fmaf(x, 0.39894228F * expf(-0.5F * x * x), normal_cdf(x));
  }
};

struct GeluTanh {
  __device__ float operator()(float x) const {
    const float half = 0.5F * x;
    return fmaf(half, inner_tanh(x), half);
  }
  __device__ static float slope(float x) {
    const float t = inner_tanh(x);
    // d/dx of the argument: √(2/π) (1 + 3 · 0.044715 x²).
    const float inner = fmaf(x * x, 0.107032225F, 0.79788456F);
    return fmaf(0.5F, 1.0F + t, 0.5F * x * fmaf(-t, t, 1.0F) * inner);
  }
};

/// Its gradient is made from its output.
struct Tanh {
  __device__ float operator()(float x) const { return tanhf(x); }
  __device__ static float slope(float y) { return fmaf(-y, y, 1.0F); }
};

struct Relu {
  __device__ float operator()(float x) const { return x < 0.0F ? 0.0F : x; }
  __device__ static float slope(float x) { return x > 0.0F ? 1.0F : 0.0F; }
};

template <class Function>
struct Backward {
  __device__ float operator()(float gradient, float saved) const {
    return gradient * Function::slope(saved);
  }
};

/// Calls `body` with the function of a kind.
template <class Body>
Status with_function(ActivationKind kind, Body&& body) {
  switch (kind) {
    case ActivationKind::gelu:
      return body(Gelu{});
    case ActivationKind::gelu_tanh:
      return body(GeluTanh{});
    case ActivationKind::tanh:
      return body(Tanh{});
    case ActivationKind::relu:
      break;
  }
  return body(Relu{});
}

}  // namespace

Status CudaBackend::activation(const ActivationArguments& a) {
  return with_function(a.kind, [&](auto function) {
    return pointwise(*this, function, Outputs{a.output.as<float>()}, a.x.shape.elements(),
                     a.x.as<float>());
  });
}

Status CudaBackend::activation_backward(const ActivationBackwardArguments& a) {
  return with_function(a.kind, [&](auto function) {
    return pointwise(*this, Backward<decltype(function)>{}, Outputs{a.output.as<float>()},
                     a.saved.shape.elements(), a.gradient.as<float>(), a.saved.as<float>());
  });
}

}  // namespace espalier::cuda
