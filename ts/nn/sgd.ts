import { sgd } from '../ops/sgd.js';
import type { Tensor } from '../tensor/tensor.js';
import type { Optimizer } from './optimizer.js';
import { OptimizerState } from './optimizer-state.js';
import type { Parameter } from './parameter.js';
import {
  groupLr,
  type OptimizerParameters,
  type ResolvedGroup,
  resolveGroups,
} from './parameter-groups.js';

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

/**
 * Stochastic gradient descent with momentum, with the numbers of `torch.optim.SGD` without
 * dampening. Each step is one native call per group.
 */
export class SGD implements Optimizer {
  /** Learning rate of the next step; rates that groups have of their own are scaled along with it. */
  lr: number;
  readonly #options: Required<SgdOptions>;
  readonly #groups: ResolvedGroup<SgdOptions>[];
  readonly #state: OptimizerState;

  /**
   * @param parameters parameters, `[name, parameter]` pairs, or groups
   * `{ parameters, lr?, momentum?, nesterov?, weightDecay? }`
   * @throws EspalierError `CONFIG` when there is none, or one comes twice
   */
  constructor(parameters: OptimizerParameters<SgdOptions>, options: SgdOptions = {}) {
    this.#options = { lr: 1e-3, momentum: 0, nesterov: false, weightDecay: 0, ...options };
    this.lr = this.#options.lr;
    this.#groups = resolveGroups('sgd', parameters);
    const all = new Map(this.#groups.flatMap((group) => [...group.parameters]));
    this.#state = new OptimizerState('sgd', ['momentum_buffer'], all);
  }

  /**
   * Changes every parameter that has a gradient, or none: when memory runs out in a gradient or in the
   * step, parameters and state stay as they were and the step can be taken again.
   *
   * @param norm f64 scalar: when it is not finite, the step changes nothing
   * @returns a promise of the step being done, which rejects with what failed; the step is queued
   * without it being awaited
   * @throws EspalierError at once `CONFIG` for numbers out of range, `DTYPE` for parameters that are not
   * f32
   */
  step(norm?: Tensor): Promise<void> {
    const parts = this.#groups.flatMap(({ parameters, own }) => {
      const trained = [...parameters].filter(([, { grad }]) => grad !== undefined);
      if (trained.length === 0) return [];
      const { momentum, nesterov, weightDecay } = { ...this.#options, ...own };
      const lr = groupLr(own.lr, this.lr, this.#options.lr);
      const tensors = {
        parameters: trained.map(([, { value }]) => value),
        gradients: trained.map(([, { grad }]) => grad as Tensor),
        velocities:
          momentum === 0 ? [] : trained.map(([name]) => this.#state.get(name, 'momentum_buffer')),
      };
      return [{ tensors, factors: { lr, momentum, nesterov, weightDecay, ...(norm && { norm }) } }];
    });
    return this.#state.guard(
      parts.map(({ tensors }) => tensors),
      (status) => {
        for (const { tensors, factors } of parts) sgd(tensors, { ...factors, status });
      },
    );
  }

  /** Frees the gradients of all parameters. */
  zeroGrad(): void {
    for (const parameter of this.#all()) parameter.zeroGrad();
  }

  /**
   * What is remembered of each parameter that was changed: `NAME.momentum_buffer`, f32. The tensors
   * stay the optimiser's.
   */
  state(): Map<string, Tensor> {
    return this.#state.entries();
  }

  /**
   * Continues with a copy of what `state()` gave earlier.
   *
   * @throws EspalierError `CONFIG` for a name that no parameter has, `SHAPE` for one that does not fit
   */
  loadState(tensors: ReadonlyMap<string, Tensor>): void {
    this.#state.load(tensors);
  }

  /** Frees what is remembered; the parameters stay. Idempotent. */
  dispose(): void {
    this.#state.dispose();
  }

  *#all(): Generator<Parameter> {
    for (const { parameters } of this.#groups) yield* parameters.values();
  }
}
