import { columnMoments } from '../ops/column-moments.js';
import { keep } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import { settle } from '../tensor/settle.js';

/** Mean and spread of every column of activations, accumulated row block by row block. */
export class ActivationMoments {
  #moments: Tensor | undefined;
  /** Rows seen. */
  count = 0;

  /** Adds rows x f32 [rows, columns]. */
  add(x: Tensor): void {
    const { count } = this;
    const into = this.#moments;
    this.#moments = keep(into === undefined ? columnMoments(x) : columnMoments(x, { into, count }));
    this.count += x.shape[0] ?? 0;
  }

  /** Mean, sum of squared deviations and sum of squares of every column. */
  async read(signal?: AbortSignal): Promise<{ mean: Float64Array; spread: Float64Array }> {
    if (this.#moments === undefined)
      return { mean: new Float64Array(), spread: new Float64Array() };
    const both = (await settle(this.#moments, signal)) as Float64Array;
    const half = both.length / 2;
    return { mean: both.slice(0, half), spread: both.slice(half) };
  }

  /** Frees the moments. Idempotent. */
  dispose(): void {
    this.#moments?.dispose();
  }
}
