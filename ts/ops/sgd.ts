import { native } from '../native/addon.js';
import type { Tensor } from '../tensor/tensor.js';

/** What a step of SGD reads and changes: one entry per parameter in each list. */
export interface SgdTensors {
  /** f32, changed in place. */
  parameters: readonly Tensor[];
  /** f32, shaped like the parameters. */
  gradients: readonly Tensor[];
  /** f32, shaped like the parameters, zeros before the first step; only for momentum. */
  velocities?: readonly Tensor[];
}

/** The numbers of a step of SGD. */
export interface SgdFactors {
  /** Learning rate. */
  lr: number;
  /** Decay of the velocity; default 0. */
  momentum?: number;
  /** Whether to look ahead along the velocity; default false. */
  nesterov?: boolean;
  /** Multiple of the parameter that is added to its gradient; default 0. */
  weightDecay?: number;
  /** f64 scalar: when it is NaN or infinite, the step changes nothing. */
  norm?: Tensor;
  /**
   * A status of `stepStatus()`: a step that fails, or reads what failed, then reports it there and
   * leaves its tensors as they were. Without one they are unusable afterwards.
   */
  status?: Tensor;
}

const handles = (tensors: readonly Tensor[]) => tensors.map((tensor) => tensor.handle);

/**
 * One step of stochastic gradient descent over many parameters in one call, as PyTorch has it:
 * `g ← g + λ p`, `u ← μ u + g`, `p ← p − lr u`, or `p ← p − lr (g + μ u)` with Nesterov's momentum.
 *
 * @throws EspalierError `DTYPE`, `SHAPE`, `CONFIG`, `DEVICE_MISMATCH`
 */
export function sgd(tensors: SgdTensors, factors: SgdFactors): void {
  const { parameters, gradients, velocities = [] } = tensors;
  const { lr, momentum = 0, nesterov = false, weightDecay = 0, norm, status } = factors;
  native().sgd(
    handles(parameters),
    handles(gradients),
    handles(velocities),
    lr,
    momentum,
    weightDecay,
    nesterov,
    norm?.handle,
    status?.handle,
  );
}
