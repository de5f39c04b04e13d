import { EspalierError } from '../common/errors.js';
import { cast } from '../ops/cast.js';
import { gatherColumns } from '../ops/gather-columns.js';
import { gatherRows } from '../ops/gather-rows.js';
import { linear } from '../ops/linear.js';
import { ridgeUpdate } from '../ops/ridge-update.js';
import { squaredError } from '../ops/squared-error.js';
import { keep, scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import type { HeldOutRows, RegressionStatistics } from './regression-statistics.js';
import { settled, settleNumber } from '../tensor/settle.js';

/** How weights are re-solved. */
export interface RefitOptions {
  /** Dampings to choose from, in units of the mean diagonal of the Gram matrix. */
  dampings: readonly number[];
  /** Whether the accepted damping is solved once more with the held-out rows. */
  useHeldOut: boolean;
  signal?: AbortSignal;
}

/** A re-solved weight. */
export interface Refit {
  /** In the dtype of the old one; undefined when the old one is kept. */
  weight: Tensor | undefined;
  /** The chosen damping; undefined when none was better than the old weight. */
  damping: number | undefined;
  /** Squared error on held-out rows after ÷ before; 1 when the old weight is kept. */
  errorRatio: number;
}

/** As many output rows decide on the damping; they are independent of each other. */
const PROBE_ROWS = 512;

/**
 * Re-solves products that share their inputs by least squares damped towards their current weights:
 * W' = W + (C − W G)(G + λI)⁻¹. λ is the one with the smallest error on the held-out rows, and W stays
 * where none is better than W itself (or, without held-out rows, where the solve fails; the middle λ
 * is taken then). Large weights choose λ on 512 evenly spaced output rows [ours].
 * @param weights current weights [out_i, in], in the order of the statistics' targets
 * @throws EspalierError `ABORTED`, `OUT_OF_MEMORY`
 */
export async function refitWeights(
  weights: readonly Tensor[],
  statistics: RegressionStatistics,
  { dampings, useHeldOut, signal }: RefitOptions,
): Promise<Refit[]> {
  const chosen: { damping: number | undefined; errorRatio: number }[] = [];
  for (const [i, weight] of weights.entries()) {
    chosen.push(await chooseDamping(weight, statistics, i, dampings, signal));
  }
  if (useHeldOut && chosen.some(({ damping }) => damping !== undefined)) statistics.mergeHeldOut();
  const results: Refit[] = [];
  for (const [i, weight] of weights.entries()) {
    const { damping, errorRatio } = chosen[i] as (typeof chosen)[number];
    const solved =
      damping === undefined ? undefined : await solve(weight, statistics, i, damping, signal);
    results.push(
      solved === undefined
        ? { weight: undefined, damping: undefined, errorRatio: 1 }
        : { weight: solved, damping, errorRatio },
    );
  }
  return results;
}

async function solve(
  weight: Tensor,
  { gram, cross }: RegressionStatistics,
  index: number,
  damping: number,
  signal: AbortSignal | undefined,
): Promise<Tensor | undefined> {
  if (gram === undefined) return undefined;
  const solved = scope(() =>
    keep(asStored(ridgeUpdate(weight, gram, cross[index] as Tensor, { damping }), weight)),
  );
  return ignoreNumeric(
    async () => {
      await settled(solved, signal);
      return solved;
    },
    () => solved.dispose(),
  );
}

async function chooseDamping(
  weight: Tensor,
  statistics: RegressionStatistics,
  index: number,
  dampings: readonly number[],
  signal: AbortSignal | undefined,
): Promise<{ damping: number | undefined; errorRatio: number }> {
  const { gram } = statistics;
  if (gram === undefined || dampings.length === 0) return { damping: undefined, errorRatio: 1 };
  if (statistics.heldOut.length === 0) {
    return { damping: dampings[Math.floor(dampings.length / 2)], errorRatio: 1 };
  }
  const probe = probeOf(weight, statistics, index);
  try {
    const before = await heldOutError(probe.weight, probe.rows, signal);
    let best = { damping: undefined as number | undefined, error: before };
    for (const damping of dampings) {
      const candidate = scope(() =>
        keep(asStored(ridgeUpdate(probe.weight, gram, probe.cross, { damping }), weight)),
      );
      const error = await ignoreNumeric(() => heldOutError(candidate, probe.rows, signal));
      candidate.dispose();
      if (error !== undefined && error < best.error) best = { damping, error };
    }
    return { damping: best.damping, errorRatio: before > 0 ? best.error / before : 1 };
  } finally {
    probe.dispose();
  }
}

/** Evenly spaced output rows of one product: weight, cross moments and held-out targets. */
function probeOf(weight: Tensor, { cross, heldOut }: RegressionStatistics, index: number) {
  const [outputs = 0] = weight.shape;
  const whole = cross[index] as Tensor;
  if (outputs <= PROBE_ROWS) {
    const rows = heldOut.map(({ inputs, targets }) => ({
      inputs,
      targets: [targets[index] as Tensor],
    }));
    return { weight, cross: whole, rows, dispose: () => {} };
  }
  const picked = Array.from({ length: PROBE_ROWS }, (_, i) =>
    Math.floor((i * outputs) / PROBE_ROWS),
  );
  const part = {
    weight: keep(gatherRows(weight, picked)),
    cross: keep(gatherRows(whole, picked)),
    rows: heldOut.map(({ inputs, targets }) => ({
      inputs,
      targets: [keep(gatherColumns(targets[index] as Tensor, picked))],
    })),
  };
  const dispose = () => {
    part.weight.dispose();
    part.cross.dispose();
    for (const { targets } of part.rows) targets[0]?.dispose();
  };
  return { ...part, dispose };
}

/** ‖X Wᵀ − Y‖² over held-out rows, for the first target of each. */
export async function heldOutError(
  weight: Tensor,
  rows: readonly HeldOutRows[],
  signal?: AbortSignal,
): Promise<number> {
  let total = 0;
  for (const { inputs, targets } of rows) {
    const error = scope(() => squaredError(linear(inputs, weight), targets[0] as Tensor));
    total += await settleNumber(error, signal);
    error.dispose();
  }
  return total;
}

/** Rounds to the dtype of `like`: what is judged and used further is what will be stored. */
export function asStored(solved: Tensor, like: Tensor): Tensor {
  return solved.dtype === like.dtype ? solved : cast(solved, like.dtype);
}

/** Runs `body`; a failed factorisation gives undefined instead. */
export async function ignoreNumeric<T>(
  body: () => Promise<T>,
  onFailure: () => void = () => {},
): Promise<T | undefined> {
  try {
    return await body();
  } catch (error) {
    onFailure();
    if (error instanceof EspalierError && error.code === 'NUMERIC') return undefined;
    throw error;
  }
}
