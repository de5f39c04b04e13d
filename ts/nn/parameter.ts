import type { Tensor } from '../tensor/tensor.js';
import { installGraph } from './graph.js';
import { trainable } from './trainable.js';

/** A tensor that is trained, with the gradient that walks back to it. */
export class Parameter {
  /** Its value; optimisers change it in place. */
  readonly value: Tensor;
  /** Sum of the gradients that arrived since `zeroGrad()`; undefined before the first. */
  grad: Tensor | undefined;

  /** Takes `value` over: `dispose()` frees it. */
  constructor(value: Tensor) {
    installGraph();
    this.value = value;
    trainable.set(value, this);
  }

  /** Whether gradients are computed; true at first. */
  get requiresGrad(): boolean {
    return trainable.get(this.value) === this;
  }

  /** Switches the gradient on or off, for ops applied from now on. */
  set requiresGrad(required: boolean) {
    if (required) trainable.set(this.value, this);
    else trainable.delete(this.value);
  }

  /** Number of elements. */
  get size(): number {
    return this.value.size;
  }

  /** Frees the gradient. */
  zeroGrad(): void {
    this.grad?.dispose();
    this.grad = undefined;
  }

  /** Frees value and gradient. Idempotent. */
  dispose(): void {
    this.zeroGrad();
    this.requiresGrad = false;
    this.value.dispose();
  }
}
