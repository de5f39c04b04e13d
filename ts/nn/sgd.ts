import { sgd } from '../ops/sgd.js';
import type { Tensor } from '../tensor/tensor.js';
import { GroupOptimizer, type StepPart, type TrainedGroup } from './group-optimizer.js';
import type { OptimizerParameters } from './parameter-groups.js';

/** The numbers of {@link SGD}; the defaults are PyTorch's. */
export interface SgdOptions {
  /** Learning rate; default 1e-3. */
  lr?: number;
  /** Decay of the velocity; default 0, which keeps none. */
  momentum?: number;
  /** Whether to look ahead along the velocity; default false. */
  nesterov?: boolean;
  /** Multiple of the parameter that is added to its gradient; default 0. */
  weightDecay?: number;
}

const DEFAULTS: Required<SgdOptions> = { lr: 1e-3, momentum: 0, nesterov: false, weightDecay: 0 };

/**
 * Stochastic gradient descent with momentum, with the numbers of `torch.optim.SGD` without
 * dampening. It remembers the `momentum_buffer` of each parameter.
 */
export class SGD extends GroupOptimizer<Required<SgdOptions>> {
  /**
   * @param parameters parameters, `[name, parameter]` pairs, or groups
   * `{ parameters, lr?, momentum?, nesterov?, weightDecay? }`
   * @throws EspalierError `CONFIG` when there is none, or one comes twice
   */
  constructor(parameters: OptimizerParameters<SgdOptions>, options: SgdOptions = {}) {
    super('sgd', ['momentum_buffer'], parameters, { ...DEFAULTS, ...options });
  }

  protected override part(
    group: TrainedGroup<Required<SgdOptions>>,
    norm: Tensor | undefined,
  ): StepPart {
    const { parameters, gradients, kept, numbers } = group;
    const velocities = numbers.momentum === 0 ? [] : kept('momentum_buffer');
    const tensors = { parameters, gradients, velocities };
    return {
      tensors,
      apply: (status) => sgd(tensors, { ...numbers, ...(norm && { norm }), status }),
    };
  }
}
