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

/** Lists of tensors that one native call reads and changes: one entry per parameter in each. */
type TensorLists = Readonly<Record<string, readonly Tensor[]>>;

/** One group's part of a step, before it is queued. */
export interface StepPart {
  /** What the call reads or changes. */
  tensors: TensorLists;
  /** Queues the call with the status of the whole step. */
  apply(status: Tensor): void;
}

/** The trained parameters of a group, for {@link GroupOptimizer}. */
export interface TrainedGroup<Numbers> {
  /** Values of the parameters that have a gradient. */
  parameters: readonly Tensor[];
  /** Their gradients. */
  gradients: readonly Tensor[];
  /** What is kept of each of them under a kind. */
  kept(kind: string): readonly Tensor[];
  /** The group's numbers, its learning rate in this step among them. */
  numbers: Numbers;
}

/**
 * What optimisers share: groups of parameters with numbers of their own, state that is kept between
 * steps, and steps that are taken wholly or not at all. Each step is one native call per group.
 */
export abstract class GroupOptimizer<Numbers extends { lr: number }> implements Optimizer {
  /** Learning rate of the next step; rates that groups have of their own are scaled along with it. */
  lr: number;
  readonly #defaults: Numbers;
  readonly #groups: ResolvedGroup<Numbers>[];
  readonly #state: OptimizerState;

  /**
   * @param op the optimiser's name, for messages
   * @param kinds what is kept per parameter; `step` is a scalar, the others are shaped like it
   * @param parameters parameters, `[name, parameter]` pairs, or groups `{ parameters, lr?, … }`
   * @param defaults the numbers of groups that do not give their own
   * @throws EspalierError `CONFIG` when there is no parameter, or one comes twice
   */
  constructor(
    op: string,
    kinds: readonly string[],
    parameters: OptimizerParameters<Numbers>,
    defaults: Numbers,
  ) {
    this.#defaults = defaults;
    this.lr = defaults.lr;
    this.#groups = resolveGroups(op, parameters);
    const all = new Map(this.#groups.flatMap((group) => [...group.parameters]));
    this.#state = new OptimizerState(op, kinds, all);
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
      const lr = groupLr(own.lr, this.lr, this.#defaults.lr);
      const group: TrainedGroup<Numbers> = {
        parameters: trained.map(([, { value }]) => value),
        gradients: trained.map(([, { grad }]) => grad as Tensor),
        kept: (kind) => trained.map(([name]) => this.#state.get(name, kind)),
        numbers: { ...this.#defaults, ...own, lr },
      };
      return [this.part(group, norm)];
    });
    return this.#state.guard(
      parts.map(({ tensors }) => tensors),
      (status) => {
        for (const part of parts) part.apply(status);
      },
    );
  }

  /** One group's native call. */
  protected abstract part(group: TrainedGroup<Numbers>, norm: Tensor | undefined): StepPart;

  /** Frees the gradients of all parameters. */
  zeroGrad(): void {
    for (const parameter of this.#all()) parameter.zeroGrad();
  }

  /**
   * What is remembered of each parameter that was changed, f32, under `NAME.KIND`. The tensors stay
   * the optimiser's.
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
