import type { Split } from './split.js';
import type { SplitQuality } from './try-split.js';

/** A split that was tried. */
export interface SplitTrial {
  split: Split;
  /** What a quick try on few calibration windows gave. */
  estimate?: SplitQuality;
  /** What the full try gave. */
  quality?: SplitQuality;
}

/** How {@link searchSplit} tries. */
export interface SplitSearch {
  /** Prunes with few calibration windows. */
  estimate: (split: Split) => Promise<SplitQuality>;
  /** Prunes with all calibration windows. */
  evaluate: (split: Split) => Promise<SplitQuality>;
  /** How many of the best estimates are evaluated. */
  finalists: number;
  onTrial?: (trial: SplitTrial, done: number, total: number) => void;
}

/**
 * Picks the split whose pruned model predicts most like the unpruned one on held-out windows: all
 * candidates are estimated, the best few evaluated [ours]. The loss itself would say little on
 * calibration text that the model was never good at.
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
    trial.quality = await evaluate(trial.split);
    onTrial?.(trial, ++done, total);
  }
  return trials.sort(
    (x, y) => rank(x.quality) - rank(y.quality) || rank(x.estimate) - rank(y.estimate),
  );
}

/** Orders qualities: what is missing or not a number comes last. */
function rank(quality: SplitQuality | undefined): number {
  const { divergence } = quality ?? {};
  if (divergence === undefined || Number.isNaN(divergence)) return Number.MAX_VALUE;
  return Math.min(divergence, 1e300);
}
