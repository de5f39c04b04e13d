import { EspalierError } from '../common/errors.js';
import { stepStatus } from '../ops/step-status.js';
import { keep } from '../tensor/scope.js';
import { settled } from '../tensor/settle.js';
import { Tensor } from '../tensor/tensor.js';
import type { Parameter } from './parameter.js';

/** The tensors that an optimiser keeps for each parameter, made of zeros when they are first asked for. */
export class OptimizerState {
  readonly #kinds: readonly string[];
  readonly #op: string;
  readonly #parameters: ReadonlyMap<string, Parameter>;
  readonly #tensors = new Map<string, Tensor>();
  /** Keys of tensors made since the last step; their memory may turn out not to be there. */
  #fresh: string[] = [];

  /**
   * @param op the optimiser's name, for messages
   * @param kinds what is kept per parameter; `step` is a scalar, the others are shaped like it
   */
  constructor(op: string, kinds: readonly string[], parameters: ReadonlyMap<string, Parameter>) {
    this.#op = op;
    this.#kinds = kinds;
    this.#parameters = parameters;
  }

  /** One tensor of a parameter. */
  get(name: string, kind: string): Tensor {
    const key = `${name}.${kind}`;
    const known = this.#tensors.get(key);
    if (known !== undefined) return known;
    const { value } = this.#parameters.get(name) as Parameter;
    const made = keep(Tensor.zeros(kind === 'step' ? [] : value.shape, 'f32', value.device));
    this.#tensors.set(key, made);
    this.#fresh.push(key);
    return made;
  }

  /**
   * Queues a step that changes all it is to change or, when memory runs out, nothing.
   *
   * @param parts lists of tensors that every part of the step reads or changes, by part
   * @param apply queues the parts, each with the status it is given
   * @returns a promise of the step being done, which rejects with what failed, after freeing state
   * that no memory could be had for: the next step makes it anew
   */
  guard(
    parts: readonly Readonly<Record<string, readonly Tensor[]>>[],
    apply: (status: Tensor) => void,
  ): Promise<void> {
    const tensors = parts.flatMap((part) => Object.values(part).flat());
    const made = this.#fresh;
    this.#fresh = [];
    if (tensors.length === 0) return Promise.resolve();
    const status = stepStatus(tensors);
    try {
      apply(status);
      return this.#outcome(status.read(), made);
    } finally {
      status.dispose();
    }
  }

  /** What is there, as `NAME.KIND`; the tensors stay this object's. */
  entries(): Map<string, Tensor> {
    return new Map(this.#tensors);
  }

  /**
   * Copies what `entries()` gave earlier; parameters that are not in it start afresh.
   *
   * @throws EspalierError `CONFIG` for a tensor of no parameter here, `SHAPE` for one that does not fit
   */
  load(tensors: ReadonlyMap<string, Tensor>): void {
    const wanted = new Map<string, [name: string, kind: string]>();
    for (const name of this.#parameters.keys()) {
      for (const kind of this.#kinds) wanted.set(`${name}.${kind}`, [name, kind]);
    }
    for (const [key, tensor] of tensors) {
      const place = wanted.get(key);
      if (place === undefined) {
        throw new EspalierError('CONFIG', `${this.#op}: no parameter has the state ${key}`, {
          op: this.#op,
          details: { name: key },
        });
      }
      const { value } = this.#parameters.get(place[0]) as Parameter;
      const size = place[1] === 'step' ? 1 : value.size;
      if (tensor.size !== size || tensor.dtype !== 'f32') {
        const message = `${key}: expected ${size} f32 elements, got ${tensor.size} of ${tensor.dtype}`;
        throw new EspalierError('SHAPE', `${this.#op}: ${message}`, { op: this.#op });
      }
    }
    this.dispose();
    for (const [key, tensor] of tensors) {
      this.get(...(wanted.get(key) as [string, string])).copyFrom(tensor);
    }
  }

  /** Frees every tensor. Idempotent. */
  dispose(): void {
    for (const tensor of this.#tensors.values()) tensor.dispose();
    this.#tensors.clear();
    this.#fresh = [];
  }

  async #outcome(done: Promise<unknown>, made: readonly string[]): Promise<void> {
    try {
      await done;
    } catch (error) {
      await Promise.all(made.map((key) => this.#dropFailed(key)));
      throw error;
    }
  }

  async #dropFailed(key: string): Promise<void> {
    const tensor = this.#tensors.get(key);
    if (tensor === undefined) return;
    try {
      await settled(tensor);
    } catch {
      if (this.#tensors.get(key) === tensor) this.#tensors.delete(key);
      tensor.dispose();
    }
  }
}
