import { gatherColumns } from '../ops/gather-columns.js';
import { keep } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import { type MaskOptions, tuneMask } from './mask-tuning.js';
import type { RegressionStatistics } from './regression-statistics.js';
import { unitIndices } from './unit-indices.js';

/** What is left of a block's consumer, with the statistics that belong to it. */
export interface Selection {
  /** Ascending indices of the kept units. */
  kept: number[];
  /** The consumer's weight without the removed columns; a tensor of its own unless all are kept. */
  consumer: Tensor;
  statistics: RegressionStatistics;
  /** Variance of the tuned mask after the last removal, where it was looked at. */
  maskVariance?: number;
}

/** How units are selected. */
export interface SelectionOptions {
  columnsPerUnit: number;
  /** How many units shall stay. */
  target: number;
  /** Units removed between two scorings. */
  increment: number;
  /** Increments are multiples of this; default 1. */
  granularity?: number;
  /** Stop before the tuned mask's variance exceeds this; undefined: never stop. */
  maxMaskVariance?: number;
  mask: MaskOptions;
  /** Scores of the units that are left. */
  score: (selection: Selection) => Promise<Float64Array>;
}

/**
 * Removes the units with the lowest scores, some at a time, scoring what is left anew each time. With
 * `maxMaskVariance` a removal after which the tuned mask varies more is taken back and tried with
 * half as many units; when not even one may go, the block keeps more than the target
 * [reconstructed]. Takes `statistics` over.
 */
export async function selectUnits(
  weight: Tensor,
  statistics: RegressionStatistics,
  options: SelectionOptions,
): Promise<Selection> {
  const { columnsPerUnit, target, maxMaskVariance, mask, granularity = 1 } = options;
  const units = (weight.shape[1] ?? 0) / columnsPerUnit;
  let current: Selection = {
    kept: Array.from({ length: units }, (_, i) => i),
    consumer: weight,
    statistics,
  };
  const guarded = maxMaskVariance !== undefined;
  let increment = multiple(options.increment, granularity);
  while (current.kept.length > target) {
    const scores = await options.score(current);
    for (;;) {
      const count = Math.max(target, current.kept.length - increment);
      const next = narrow(current, highest(scores, count), columnsPerUnit, weight, !guarded);
      if (guarded) {
        const tuned = await tuneMask(next.consumer, next.statistics, mask);
        next.maskVariance = tuned?.variance ?? Number.POSITIVE_INFINITY;
        if (next.maskVariance > maxMaskVariance) {
          release(next, weight);
          if (increment === granularity) return current;
          increment = multiple(increment / 2, granularity);
          continue;
        }
      }
      release(current, weight);
      current = next;
      break;
    }
  }
  return current;
}

function multiple(value: number, unit: number): number {
  return Math.max(1, Math.floor(value / unit)) * unit;
}

/** Positions of the `count` largest scores, ascending; of equal scores the earlier ones. */
export function highest(scores: Float64Array, count: number): number[] {
  const order = Array.from(scores.keys());
  const value = (i: number) => {
    const score = scores[i] as number;
    return Number.isNaN(score) ? Number.NEGATIVE_INFINITY : score;
  };
  order.sort((x, y) => value(y) - value(x) || x - y);
  return order.slice(0, count).sort((x, y) => x - y);
}

/**
 * The selection of some of a selection's units, given by position.
 * @param whole the consumer's weight before any removal
 * @param consume whether the old selection's Gram matrix may go
 */
export function narrow(
  { kept, consumer, statistics }: Selection,
  positions: readonly number[],
  columnsPerUnit: number,
  whole: Tensor,
  consume: boolean,
): Selection {
  const columns = unitIndices(positions, columnsPerUnit);
  const all = columns.length === whole.shape[1];
  return {
    kept: positions.map((position) => kept[position] as number),
    consumer: all ? whole : keep(gatherColumns(consumer, columns)),
    statistics: statistics.select(columns, consume),
  };
}

function release({ consumer, statistics }: Selection, whole: Tensor): void {
  statistics.dispose();
  if (consumer !== whole) consumer.dispose();
}
