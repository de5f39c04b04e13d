import type { Tensor } from '../tensor/tensor.js';

/** What trainers ask of an optimiser. */
export interface Optimizer {
  /** Learning rate of the next step. */
  lr: number;
  /**
   * Changes every parameter that has a gradient, or none: when a gradient or the step itself failed,
   * parameters and state stay as they were.
   * @param norm when given and not finite, the step changes nothing
   * @returns a promise of the step being done, which rejects with what failed; the step is queued
   * without it being awaited
   */
  step(norm?: Tensor): Promise<void>;
  /** Frees the gradients of all parameters. */
  zeroGrad(): void;
  /** What it remembers between steps, by parameter and kind; tensors stay the optimiser's. */
  state(): Map<string, Tensor>;
}
