import { adamW } from '../ops/adam-w.js';
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

/**
 * Adam with decoupled weight decay (Loshchilov and Hutter 2019), with the numbers of
 * `torch.optim.AdamW`. Each step is one native call per group.
 */
export class AdamW implements Optimizer {
  /** Learning rate of the next step; rates that groups have of their own are scaled along with it. */
  lr: number;
  readonly #options: Required<AdamWOptions>;
  readonly #groups: ResolvedGroup<AdamWOptions>[];
  readonly #state: OptimizerState;

  /**
   * @param parameters parameters, `[name, parameter]` pairs, or groups
   * `{ parameters, lr?, betas?, eps?, weightDecay? }`
   * @throws EspalierError `CONFIG` when there is none, or one comes twice
   */
  constructor(parameters: OptimizerParameters<AdamWOptions>, options: AdamWOptions = {}) {
    this.#options = { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0.01, ...options };
    this.lr = this.#options.lr;
    this.#groups = resolveGroups('adamW', parameters);
    const all = new Map(this.#groups.flatMap((group) => [...group.parameters]));
    this.#state = new OptimizerState('adamW', ['exp_avg', 'exp_avg_sq', 'step'], all);
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
      const { betas, eps, weightDecay } = { ...this.#options, ...own };
      const lr = groupLr(own.lr, this.lr, this.#options.lr);
      const kept = (kind: string) => trained.map(([name]) => this.#state.get(name, kind));
      const tensors = {
        parameters: trained.map(([, { value }]) => value),
        gradients: trained.map(([, { grad }]) => grad as Tensor),
        m: kept('exp_avg'),
        v: kept('exp_avg_sq'),
        steps: kept('step'),
      };
      const factors = { lr, beta1: betas[0], beta2: betas[1], eps, weightDecay };
      return [{ tensors, factors: { ...factors, ...(norm && { norm }) } }];
    });
    return this.#state.guard(
      parts.map(({ tensors }) => tensors),
      (status) => {
        for (const { tensors, factors } of parts) adamW(tensors, { ...factors, status });
      },
    );
  }

  /** Frees the gradients of all parameters. */
  zeroGrad(): void {
    for (const parameter of this.#all()) parameter.zeroGrad();
  }

  /**
   * What is remembered of each parameter that was changed: `NAME.exp_avg`, `NAME.exp_avg_sq` and
   * `NAME.step`, f32. The tensors stay the optimiser's.
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
