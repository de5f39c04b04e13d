import { adamW } from '../ops/adam-w.js';
import type { Tensor } from '../tensor/tensor.js';
import { GroupOptimizer, type StepPart, type TrainedGroup } from './group-optimizer.js';
import type { OptimizerParameters } from './parameter-groups.js';

/** The numbers of {@link AdamW}; the defaults are PyTorch's. */
export interface AdamWOptions {
  /** Learning rate; default 1e-3. */
  lr?: number;
  /** Decay of the running means of the gradient and of its square; default `[0.9, 0.999]`. */
  betas?: readonly [number, number];
  /** Added to the denominator; default 1e-8. */
  eps?: number;
  /** Decoupled weight decay; default 0.01. */
  weightDecay?: number;
}

const DEFAULTS: Required<AdamWOptions> = {
  lr: 1e-3,
  betas: [0.9, 0.999],
  eps: 1e-8,
  weightDecay: 0.01,
};

/**
 * Adam with decoupled weight decay (Loshchilov and Hutter 2019), with the numbers of
 * `torch.optim.AdamW`. It remembers `exp_avg`, `exp_avg_sq` and `step` of each parameter.
 */
export class AdamW extends GroupOptimizer<Required<AdamWOptions>> {
  /**
   * @param parameters parameters, `[name, parameter]` pairs, or groups
   * `{ parameters, lr?, betas?, eps?, weightDecay? }`
   * @throws EspalierError `CONFIG` when there is none, or one comes twice
   */
  constructor(parameters: OptimizerParameters<AdamWOptions>, options: AdamWOptions = {}) {
    super('adamW', ['exp_avg', 'exp_avg_sq', 'step'], parameters, { ...DEFAULTS, ...options });
  }

  protected override part(
    group: TrainedGroup<Required<AdamWOptions>>,
    norm: Tensor | undefined,
  ): StepPart {
    const { parameters, gradients, kept, numbers } = group;
    const { betas, ...rest } = numbers;
    const factors = { ...rest, beta1: betas[0], beta2: betas[1], ...(norm && { norm }) };
    const tensors = {
      parameters,
      gradients,
      m: kept('exp_avg'),
      v: kept('exp_avg_sq'),
      steps: kept('step'),
    };
    return { tensors, apply: (status) => adamW(tensors, { ...factors, status }) };
  }
}
