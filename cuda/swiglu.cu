// SwiGLU: output = silu(gate) ∘ up = gate / (1 + exp(-gate)) ∘ up, elementwise over f32, and its
// gradient: with σ = 1 / (1 + exp(-gate)),
//   gate_gradient = gradient ∘ up ∘ σ (1 + gate (1 - σ)),  up_gradient = gradient ∘ gate σ.
// Bound by memory: three and five reads or writes of an element.
#include "cuda/cuda_backend.h"
#include "cuda/pointwise.h"

namespace espalier::cuda {
namespace {

struct Swiglu {
  __device__ float operator()(float gate, float up) const {
    return gate / (1.0F + expf(-gate)) * up;
  }
};

struct SwigluBackward {
  __device__ Values<2> operator()(float gradient, float gate, float up) const {
    const float sigma = 1.0F / (1.0F + expf(-gate));
    // A gate far below zero has σ = 0, and 0 times its size is 0.
    const float silu = gate * sigma;
    return {gradient * up * fmaf(silu, 1.0F - sigma, sigma), gradient * silu};
  }
};

}  // namespace

Status CudaBackend::swiglu(const SwigluArguments& a) {
  return pointwise(*this, Swiglu{}, Outputs{a.output.as<float>()}, a.gate.shape.elements(),
                   a.gate.as<float>(), a.up.as<float>());
}

Status CudaBackend::swiglu_backward(const SwigluBackwardArguments& a) {
  return pointwise(
      *this, SwigluBackward{}, Outputs{a.gate_gradient.as<float>(), a.up_gradient.as<float>()},
      a.gate.shape.elements(), a.gradient.as<float>(), a.gate.as<float>(), a.up.as<float>());
}

}  // namespace espalier::cuda
