import { linear } from '../ops/linear.js';
import type { Tensor } from '../tensor/tensor.js';
import type { LinearWeights } from './layer-weights.js';

/** y = x Wᵀ + b over the last dimension of `x` [..., in]; returns [..., out]. */
export function applyLinear({ weight, bias, products = 'f32' }: LinearWeights, x: Tensor): Tensor {
  return linear(x, weight, bias, { products });
}
