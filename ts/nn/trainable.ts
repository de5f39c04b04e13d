import type { Tensor } from '../tensor/tensor.js';

/** Where a walk back leaves the gradient of a tensor that no op computed. */
export interface GradientHolder {
  /** The sum so far. */
  grad: Tensor | undefined;
}

/** The tensors whose gradients are wanted, and who holds them. */
export const trainable = new WeakMap<Tensor, GradientHolder>();
