import { adamW } from '../ops/adam-w.js';
import type { Tensor } from '../tensor/tensor.js';
import type { Optimizer } from './optimizer.js';
import { OptimizerState } from './optimizer-state.js';
import type { Parameter } from './parameter.js';
import { type OptimizerParameters, type ResolvedGroup, resolveGroups } from './parameter-groups.js';

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
  /** Learning rate of the next step, for parameters whose group has none of its own. */
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
   * Changes every parameter that has a gradient.
   *
   * @param norm f64 scalar: when it is not finite, the step changes nothing
   * @throws EspalierError `CONFIG` for numbers out of range, `DTYPE` for parameters that are not f32
   */
  step(norm?: Tensor): void {
    for (const { parameters, own } of this.#groups) {
      const trained = [...parameters].filter(([, { grad }]) => grad !== undefined);
      if (trained.length === 0) continue;
      const { betas, eps, weightDecay } = { ...this.#options, ...own };
      const kept = (kind: string) => trained.map(([name]) => this.#state.get(name, kind));
      adamW(
        {
          parameters: trained.map(([, { value }]) => value),
          gradients: trained.map(([, { grad }]) => grad as Tensor),
          m: kept('exp_avg'),
          v: kept('exp_avg_sq'),
          steps: kept('step'),
        },
        {
          lr: own.lr ?? this.lr,
          beta1: betas[0],
          beta2: betas[1],
          eps,
          weightDecay,
          ...(norm && { norm }),
        },
      );
    }
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
