import type { Split } from './split.js';

/** A split that was tried. */
export interface SplitTrial {
  split: Split;
  /** Loss of the quick try, on few calibration windows. */
  estimate?: number;
  /** Loss of the full try. */
  loss?: number;
}

/** How {@link searchSplit} tries. */
export interface SplitSearch {
  /** Loss on held-out windows after pruning with few calibration windows. */
  estimate: (split: Split) => Promise<number>;
  /** The same with all calibration windows. */
  evaluate: (split: Split) => Promise<number>;
  /** How many of the best estimates are evaluated. */
  finalists: number;
  onTrial?: (trial: SplitTrial, done: number, total: number) => void;
}

/**
 * Picks the split whose pruned model has the smallest loss on held-out windows: all candidates are
 * estimated, the best few evaluated [ours].
 * @returns all trials, the best first
 */
export async function searchSplit(
  candidates: readonly Split[],
  { estimate, evaluate, finalists, onTrial }: SplitSearch,
): Promise<SplitTrial[]> {
  const trials: SplitTrial[] = candidates.map((split) => ({ split }));
  if (trials.length <= 1) return trials;
  const runsOff = trials.length > finalists;
  const total = (runsOff ? trials.length : 0) + Math.min(trials.length, finalists);
  let done = 0;
  if (runsOff) {
    for (const trial of trials) {
      trial.estimate = await estimate(trial.split);
      onTrial?.(trial, ++done, total);
    }
    trials.sort((x, y) => rank(x.estimate) - rank(y.estimate));
  }
  for (const trial of trials.slice(0, finalists)) {
    trial.loss = await evaluate(trial.split);
    onTrial?.(trial, ++done, total);
  }
  return trials.sort((x, y) => rank(x.loss) - rank(y.loss) || rank(x.estimate) - rank(y.estimate));
}

/** Orders losses: what is missing or not a number comes last. */
function rank(loss: number | undefined): number {
  return loss === undefined || Number.isNaN(loss) ? Number.MAX_VALUE : Math.min(loss, 1e300);
}
