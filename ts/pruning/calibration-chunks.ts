import { nextTokenTargets } from '../models/decoder-head.js';
import { embedding } from '../ops/embedding.js';
import { Tensor } from '../tensor/tensor.js';
import type { Calibration } from './calibration.js';

/** Some calibration windows that go through a layer together. */
export interface CalibrationChunk {
  /** i32 [windows, window] */
  ids: Tensor;
  /** i32 [windows · window]: what each position predicts; -100 at the end of a window. */
  targets: Tensor;
  /** Windows in the chunk. */
  windows: number;
  /** Whether no equation may see it. */
  heldOut: boolean;
}

/**
 * Packs calibration windows into chunks, training windows first, never mixed with held-out ones.
 * @param widest the largest number of floats that a layer holds per token at once
 * @param maxBytes the memory that one tensor of that width may take
 * @param device where they are put; default `cpu`
 */
export function calibrationChunks(
  { window, training, heldOut }: Calibration,
  widest: number,
  maxBytes: number,
  device = 'cpu',
): CalibrationChunk[] {
  const perChunk = Math.max(1, Math.floor(maxBytes / (4 * widest * window)));
  const chunks: CalibrationChunk[] = [];
  for (const [windows, held] of [
    [training, false],
    [heldOut, true],
  ] as const) {
    for (let first = 0; first < windows.length; first += perChunk) {
      const some = windows.slice(first, first + perChunk);
      const ids = new Int32Array(some.length * window);
      for (const [i, one] of some.entries()) ids.set(one, i * window);
      chunks.push({
        ids: Tensor.from(ids, [some.length, window], { device }),
        targets: Tensor.from(nextTokenTargets(ids, window), [ids.length], { device }),
        windows: some.length,
        heldOut: held,
      });
    }
  }
  return chunks;
}

/** Frees the token ids. */
export function disposeChunks(chunks: readonly CalibrationChunk[]): void {
  for (const { ids, targets } of chunks) {
    ids.dispose();
    targets.dispose();
  }
}

/** The residual stream entering the first layer, chunk by chunk: f32 [windows, window, hidden]. */
export function embedChunks(chunks: readonly CalibrationChunk[], table: Tensor): Tensor[] {
  return chunks.map(({ ids }) => embedding(ids, table));
}
