import type { Tensor } from '../tensor/tensor.js';

/** What trainers ask of an optimiser. */
export interface Optimizer {
  /** Learning rate of the next step. */
  lr: number;
  /**
   * Changes every parameter that has a gradient.
   * @param norm when given and not finite, the step changes nothing
   */
  step(norm?: Tensor): void;
  /** Frees the gradients of all parameters. */
  zeroGrad(): void;
  /** What it remembers between steps, by parameter and kind; tensors stay the optimiser's. */
  state(): Map<string, Tensor>;
}
