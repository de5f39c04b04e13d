import { native } from '../native/addon.js';
import type { Tensor } from '../tensor/tensor.js';

/** What a step of AdamW reads and changes: one entry per parameter in each list. */
export interface AdamWTensors {
  /** f32, changed in place. */
  parameters: readonly Tensor[];
  /** f32, shaped like the parameters. */
  gradients: readonly Tensor[];
  /** f32, shaped like the parameters: running mean of the gradients, zeros before the first step. */
  m: readonly Tensor[];
  /** f32, shaped like the parameters: running mean of their squares, zeros before the first step. */
  v: readonly Tensor[];
  /** f32 scalars: steps taken, 0 before the first step. */
  steps: readonly Tensor[];
}

/** The numbers of a step of AdamW. */
export interface AdamWFactors {
  /** Learning rate. */
  lr: number;
  /** Decay of `m`, in [0, 1). */
  beta1: number;
  /** Decay of `v`, in [0, 1). */
  beta2: number;
  /** Added to the denominator. */
  eps: number;
  /** Decoupled weight decay. */
  weightDecay: number;
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
 * One step of AdamW over many parameters in one call, in the order of operations of PyTorch's:
 * `p ← p − lr·λ·p`, `m ← m + (1 − β₁)(g − m)`, `v ← β₂ v + (1 − β₂) g²`,
 * `p ← p − lr/(1 − β₁ᵗ) · m / (√v/√(1 − β₂ᵗ) + ε)`.
 *
 * @throws EspalierError `DTYPE`, `SHAPE`, `CONFIG`, `DEVICE_MISMATCH`
 */
export function adamW(tensors: AdamWTensors, factors: AdamWFactors): void {
  const { parameters, gradients, m, v, steps } = tensors;
  const { lr, beta1, beta2, eps, weightDecay, norm, status } = factors;
  native().adamW(
    handles(parameters),
    handles(gradients),
    handles(m),
    handles(v),
    handles(steps),
    lr,
    beta1,
    beta2,
    eps,
    weightDecay,
    norm?.handle,
    status?.handle,
  );
}
