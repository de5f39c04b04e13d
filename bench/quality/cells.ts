import type { PruneOptions } from '../../ts/systems/comp/prune-options.js';
import type { CellCache } from './cell-cache.js';

/** One pruned model to measure. */
export interface Cell {
  model: string;
  /** Which text it is calibrated on: the kind it is evaluated on, or another one. */
  calibration: (typeof KINDS)[number];
  ratio: number;
  seed: number;
  /** What to call the variant: a method, or `metric + recovery` of comp. */
  variant: string;
}

/** What a cell measured. */
export interface Outcome {
  perplexity: number;
  /** True fraction of parameters removed. */
  ratio: number;
  seconds: number;
  /** Layers and key/value groups of the split, where other cells take theirs from this one. */
  split?: Pick<PruneOptions, 'dropLayers' | 'keyValueGroups'>;
}

/** The options of `prune` that a variant stands for. */
export type VariantOptions = Pick<
  PruneOptions,
  'method' | 'metric' | 'recover' | 'shape' | 'selfSampled' | 'dropLayers' | 'keyValueGroups'
>;

/** The variant whose figures are held against the targets: COMP as it comes. */
export const OURS = 'comp';

/** What COMP is compared with: methods that, like it, do without gradients. */
export const GRADIENT_FREE: Readonly<Record<string, VariantOptions>> = {
  random: { method: 'random' },
  magnitude: { method: 'magnitude' },
  shortgpt: { method: 'shortgpt' },
  'wanda-sp': { method: 'wanda-sp' },
  'flap (uniform)': { method: 'flap' },
  'flap (as published)': { method: 'flap', shape: 'per-layer' },
};

/** LLM-Pruner, which takes a gradient: a comparison that asks for more than the claim. */
export const WITH_GRADIENT: Readonly<Record<string, VariantOptions>> = {
  'taylor (uniform)': { method: 'taylor', shape: 'uniform' },
  'taylor (as published)': { method: 'taylor' },
};

/** All methods of other people. */
export const BASELINES: Readonly<Record<string, VariantOptions>> = {
  ...GRADIENT_FREE,
  ...WITH_GRADIENT,
};

/** COMP without windows that the model writes itself. */
export const TEXT_ONLY = 'comp (text only)';

/** What tells apart how much the windows give that the model writes itself. */
export const WRITTEN: Readonly<Record<string, VariantOptions>> = {
  [TEXT_ONLY]: { method: 'comp', selfSampled: 0 },
  'wanda-sp (half its own text)': { method: 'wanda-sp', selfSampled: 0.5 },
  'flap (uniform, half its own text)': { method: 'flap', selfSampled: 0.5 },
  'flap (as published, half its own text)': {
    method: 'flap',
    shape: 'per-layer',
    selfSampled: 0.5,
  },
};

/** The scores and recoveries of the grid. */
export const METRICS = ['sensitivity', 'residual', 'spectral', 'blend', 'reconstruction'] as const;
export const RECOVERIES = ['none', 'mask', 'lstsq', 'refit'] as const;

/** All variants: COMP as it comes, with mask tuning as in the paper, the baselines, the grid. */
export const VARIANTS: Readonly<Record<string, VariantOptions>> = {
  [OURS]: { method: 'comp' },
  'comp (per layer)': { method: 'comp', shape: 'per-layer' },
  'comp (paper: residual + mask)': { method: 'comp', metric: 'residual', recover: 'mask' },
  ...BASELINES,
  ...WRITTEN,
  ...Object.fromEntries(
    METRICS.flatMap((metric) =>
      RECOVERIES.map((recover) => [`${metric} + ${recover}`, { method: 'comp', metric, recover }]),
    ),
  ),
};

/** The metric whose search finds the split of every cell of the grid with the same recovery. */
const SPLITTING_METRIC = 'reconstruction';

/**
 * The cell that a cell of the grid takes its split from: the same recovery with the default metric, so
 * that metrics are compared at one split; `undefined` for cells that search for their own.
 */
export function splitSource(cell: Cell): Cell | undefined {
  const [metric, recover] = cell.variant.split(' + ');
  const inGrid = RECOVERIES.some((name) => name === recover);
  if (!inGrid || metric === SPLITTING_METRIC) return undefined;
  return { ...cell, variant: `${SPLITTING_METRIC} + ${recover}` };
}

/** Ratios of the measurement. */
export const RATIOS = [0.1, 0.2, 0.3, 0.5] as const;

const SEEDS = [0, 1, 2];
/** Calibration on text of the kind that is evaluated, and on another. */
export const KINDS = ['same kind', 'other kind'] as const;

/**
 * All cells, what matters most first, so that a run cut short has measured the targets: every method
 * at 20 %, seed by seed, then what shows where the gain comes from, the other ratios, the grid at
 * 20 %, and the rest.
 */
export function allCells(models: readonly string[], quick: boolean): Cell[] {
  const methods = [OURS, ...Object.keys(BASELINES)];
  const own = ['comp (per layer)', 'comp (paper: residual + mask)'];
  // Cells that others take their split from come first.
  const metrics = [SPLITTING_METRIC, ...METRICS.filter((name) => name !== SPLITTING_METRIC)];
  const grid = metrics.flatMap((m) => RECOVERIES.map((r) => `${m} + ${r}`));
  const cells: Cell[] = [];
  const add = (
    variants: readonly string[],
    ratios: readonly number[],
    seeds: readonly number[],
  ) => {
    for (const seed of seeds) {
      for (const ratio of ratios) {
        for (const calibration of KINDS) {
          for (const model of models) {
            for (const variant of variants)
              cells.push({ model, calibration, ratio, seed, variant });
          }
        }
      }
    }
  };
  add(methods, [0.2], [0]);
  if (quick) return cells.filter(({ calibration }) => calibration === 'same kind');
  add(own, [0.2], [0]);
  add(Object.keys(WRITTEN), [0.2], [0]);
  add(methods, [0.2], [1, 2]);
  add(methods, [0.1, 0.3, 0.5], [0]);
  add(grid, [0.2], [0]);
  add(methods, [0.1, 0.3, 0.5], [1, 2]);
  add(own, [0.1, 0.3, 0.5], [0]);
  add(grid, [0.5], [0]);
  add(own, RATIOS, [1, 2]);
  add(grid, [0.1, 0.3], [0]);
  add(Object.keys(WRITTEN), [0.2], [1, 2]);
  add(Object.keys(WRITTEN), [0.1, 0.3, 0.5], SEEDS);
  add(grid, RATIOS, SEEDS.slice(1));
  return cells;
}

/** The outcomes of cells. */
export type QualityCache = CellCache<Cell, Outcome>;

/** A cell as a key of the cache; COMP as it comes is a cell of the grid too. */
export function cellKey({ model, calibration, ratio, seed, variant }: Cell): string {
  const name = variant === `${SPLITTING_METRIC} + refit` ? OURS : variant;
  return [model, calibration, ratio, seed, name].join(' | ');
}
