import { EspalierError } from '../common/errors.js';
import { gatherColumns } from '../ops/gather-columns.js';
import { gram } from '../ops/gram.js';
import { principalSubmatrix } from '../ops/principal-submatrix.js';
import { keep, scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';

/** Inputs [rows, in] and wanted outputs [rows, out_i] of positions that no equation sees. */
export interface HeldOutRows {
  inputs: Tensor;
  targets: Tensor[];
}

/**
 * What least squares needs of products that share their inputs X [rows, in] and shall give Y_i
 * [rows, out_i]: G = XᵀX and C_i = Y_iᵀX in f64, accumulated chunk by chunk, and the held-out rows as
 * they are.
 */
export class RegressionStatistics {
  /** XᵀX, f64 [in, in]; undefined before the first training rows. */
  gram: Tensor | undefined;
  /** Y_iᵀX, f64 [out_i, in]. */
  cross: Tensor[] = [];
  /** The rows that take no part in the fit. */
  heldOut: HeldOutRows[] = [];
  #merged = false;

  /** XᵀX; `CONFIG` when no training rows have been added. */
  requireGram(): Tensor {
    if (this.gram !== undefined) return this.gram;
    throw new EspalierError('CONFIG', 'at least one calibration window is needed');
  }

  /** Adds rows. The tensors may be disposed afterwards. */
  add(inputs: Tensor, targets: readonly Tensor[], heldOut: boolean): void {
    if (heldOut) {
      this.heldOut.push({ inputs: share(inputs), targets: targets.map(share) });
      return;
    }
    this.#accumulate(inputs, targets);
  }

  /** Adds the wanted outputs of rows whose inputs have been added without. */
  addTargets(inputs: Tensor, targets: readonly Tensor[], heldOut: boolean): void {
    if (heldOut) this.add(inputs, targets, true);
    else this.#accumulateCross(inputs, targets);
  }

  #accumulate(inputs: Tensor, targets: readonly Tensor[]): void {
    const { gram: sum } = this;
    this.gram = keep(sum === undefined ? gram(inputs) : gram(inputs, { into: sum }));
    this.#accumulateCross(inputs, targets);
  }

  #accumulateCross(inputs: Tensor, targets: readonly Tensor[]): void {
    const { cross } = this;
    this.cross = targets.map((target, i) => {
      const into = cross[i];
      return keep(gram(inputs, into === undefined ? { y: target } : { y: target, into }));
    });
  }

  /** Lets the equations see the held-out rows too, once they have served. Idempotent. */
  mergeHeldOut(): void {
    if (this.#merged) return;
    this.#merged = true;
    for (const { inputs, targets } of this.heldOut) this.#accumulate(inputs, targets);
  }

  /**
   * The statistics of the inputs `columns` alone; independent of this one.
   * @param consume whether this one's Gram matrix may go: both at once are what pruning a wide model
   * would need most memory for
   */
  select(columns: readonly number[], consume: boolean): RegressionStatistics {
    const part = new RegressionStatistics();
    scope(() => {
      if (this.gram !== undefined) {
        part.gram = keep(principalSubmatrix(this.gram, columns, { consume }));
      }
      part.cross = this.cross.map((cross) => keep(gatherColumns(cross, columns)));
      part.heldOut = this.heldOut.map(({ inputs, targets }) => ({
        inputs: keep(gatherColumns(inputs, columns)),
        targets: targets.map(share),
      }));
    });
    return part;
  }

  /** Frees everything. Idempotent. */
  dispose(): void {
    this.gram?.dispose();
    for (const cross of this.cross) cross.dispose();
    for (const { inputs, targets } of this.heldOut) {
      inputs.dispose();
      for (const target of targets) target.dispose();
    }
  }
}

/** Another handle to the same memory, outside any scope. */
function share(tensor: Tensor): Tensor {
  return keep(tensor.reshape(tensor.shape));
}
