import {
  type Cell,
  GRADIENT_FREE,
  OURS,
  type QualityCache,
  RATIOS,
  WITH_GRADIENT,
} from './cells.js';

/** COMP against the best baseline without gradients in one cell. */
export interface Comparison {
  model: string;
  calibration: Cell['calibration'];
  ratio: number;
  seed: number;
  /** The baseline with the lowest perplexity. */
  best: string;
  /** Rise of log-perplexity over the dense model: COMP's, the best baseline's, and the quotient. */
  rise: number;
  baselineRise: number;
  quotient: number;
  /** Rise under LLM-Pruner, in the better of its forms; undefined where none was measured. */
  gradientRise?: number;
}

/** Quotients under this, which rises near zero would give, count as this in geometric means. */
const LEAST = 0.01;

/** Who is compared: by default COMP as it comes with all baselines without gradients. */
export interface Sides {
  ours?: string;
  baselines?: readonly string[];
}

/** Compares in every cell where both sides have been measured. */
export function compare(
  cells: readonly Cell[],
  cache: QualityCache,
  dense: ReadonlyMap<string, number>,
  { ours: own = OURS, baselines = Object.keys(GRADIENT_FREE) }: Sides = {},
): Comparison[] {
  const found: Comparison[] = [];
  for (const cell of cells.filter(({ variant }) => variant === own)) {
    const ours = cache.get(cell);
    const logDense = Math.log(dense.get(cell.model) ?? Number.NaN);
    const others = baselines.map((variant) => ({
      variant,
      outcome: cache.get({ ...cell, variant }),
    }));
    if (ours === undefined || others.some(({ outcome }) => outcome === undefined)) continue;
    const best = others.reduce((a, b) => (b.outcome!.perplexity < a.outcome!.perplexity ? b : a));
    const rise = Math.log(ours.perplexity) - logDense;
    const baselineRise = Math.log(best.outcome!.perplexity) - logDense;
    const { model, calibration, ratio, seed } = cell;
    const gradient = Math.min(
      ...Object.keys(WITH_GRADIENT).map(
        (variant) => cache.get({ ...cell, variant })?.perplexity ?? Infinity,
      ),
    );
    found.push({
      model,
      calibration,
      ratio,
      seed,
      best: best.variant,
      rise,
      baselineRise,
      quotient: riseQuotient(rise, baselineRise),
      ...(gradient < Infinity ? { gradientRise: Math.log(gradient) - logDense } : {}),
    });
  }
  return found;
}

/** A rise over another; 0.01 at least, so that means of logarithms exist. */
export function riseQuotient(rise: number, other: number): number {
  if (rise <= 0) return LEAST;
  return other <= 0 ? Infinity : Math.max(LEAST, rise / other);
}

/** exp of the mean logarithm. */
export function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

/**
 * Geometric mean of a variant's perplexity over models, texts and seeds, at one ratio or at all;
 * `undefined` while a cell of them is missing.
 */
export function meanPerplexity(
  cells: readonly Cell[],
  cache: QualityCache,
  variant: string,
  ratio?: number,
): number | undefined {
  const own = cells.filter(
    (cell) => cell.variant === variant && cell.ratio === (ratio ?? cell.ratio),
  );
  const found = own.map((cell) => cache.get(cell)?.perplexity);
  const values = found.filter((value) => value !== undefined);
  return values.length === 0 || values.length < own.length ? undefined : geometricMean(values);
}

/** `median perplexity (lowest to highest)` of a variant over its seeds, or `-`. */
export function perplexityText(
  cache: QualityCache,
  cell: Omit<Cell, 'seed'>,
): { text: string; median: number; ratio: number } | undefined {
  const found = [0, 1, 2]
    .map((seed) => cache.get({ ...cell, seed }))
    .filter((outcome) => outcome !== undefined)
    .sort((a, b) => a.perplexity - b.perplexity);
  if (found.length === 0) return undefined;
  const middle = found[(found.length - 1) >> 1]!;
  const [low, high] = [found[0]!.perplexity, found.at(-1)!.perplexity];
  const range = found.length === 1 ? '' : ` (${low.toPrecision(3)}–${high.toPrecision(3)})`;
  return {
    text: `${middle.perplexity.toPrecision(4)}${range}`,
    median: middle.perplexity,
    ratio: middle.ratio,
  };
}

/** Points of a plot: perplexity of a variant by ratio. */
export function curve(
  cache: QualityCache,
  cell: Omit<Cell, 'seed' | 'ratio'>,
  dense: number,
): { x: number; y: number }[] {
  const points = RATIOS.flatMap((ratio) => {
    const found = perplexityText(cache, { ...cell, ratio });
    return found === undefined ? [] : [{ x: found.ratio, y: found.median }];
  });
  return [{ x: 0, y: dense }, ...points];
}
