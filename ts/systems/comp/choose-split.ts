import { EspalierError } from '../../common/errors.js';
import type { ModelConfig } from '../../formats/model-config.js';
import { type Calibration, thinCalibration } from '../../pruning/calibration.js';
import { calibrationChunks, disposeChunks } from '../../pruning/calibration-chunks.js';
import type { BlockMethod } from '../../pruning/block-task.js';
import { ESTIMATE_WINDOWS, isAffordable } from './affordable.js';
import { candidateSplits, layersOnly } from './candidate-splits.js';
import type { ResolvedPruneOptions } from './prune-options.js';
import { reaches, type Split, untouched } from './split.js';
import { searchSplit, type SplitTrial } from './split-search.js';
import { leastImportant } from './survey.js';
import { taylorSplits } from './taylor-splits.js';
import { trySplit } from './try-split.js';
import type { UnitPlan } from './unit-plan.js';
import type { Workbench } from './workbench.js';

/** How many of the best estimates are evaluated with all calibration windows. */
const FINALISTS = 3;

/** Everything that the choice of a split depends on. */
export interface SplitChoice {
  bench: Workbench;
  calibration: Calibration;
  options: ResolvedPruneOptions;
  method: BlockMethod;
  /** Block influence by layer. */
  influence: readonly number[];
  droppable: readonly number[];
  /** The units that stay under a split, where the method names them itself. */
  units?: (split: Split) => UnitPlan;
  /** Largest number of floats that a layer holds per token, and bytes a tensor of that may take. */
  widest: number;
  chunkBytes: number;
  onTrial?: (trial: SplitTrial, done: number, total: number) => void;
}

/**
 * Decides how the ratio is met: by which layers, key/value groups and channels.
 * @returns the splits that were considered, the chosen one first, and the width alignment used
 * @throws EspalierError `CONFIG` when the model can't lose that much
 */
export async function chooseSplit(
  choice: SplitChoice,
): Promise<{ trials: SplitTrial[]; align: number }> {
  const { bench, options, droppable, influence } = choice;
  const { config } = bench;
  const { ratio } = options;
  const asked = options.align === 'auto' ? defaultAlign(choice) : options.align;
  if (reaches(0, ratio)) return { trials: [{ split: untouched(config) }], align: asked };
  if (options.method === 'shortgpt') {
    const order = (count: number) => leastImportant(influence, droppable, count);
    const split = layersOnly(config, ratio, order, droppable.length);
    if (split === undefined) throw impossible(ratio, 'by whole layers alone');
    return { trials: [{ split }], align: asked };
  }
  // Larger models take half of the ratio from whole layers, the rest from channels.
  const searched = isAffordable(config, options.window);
  const halved = options.layerShare === 'auto' && options.dropLayers === 'auto' && !searched;
  const layerShare = halved ? 0.5 : options.layerShare;
  const request = {
    ratio,
    align: asked,
    halve: options.align === 'auto',
    groups: options.keyValueGroups,
  };
  const candidates =
    options.method === 'taylor' && options.shape === 'per-layer'
      ? taylorSplits(config, { ...request, ...protection(options) })
      : candidateSplits(config, {
          ...request,
          layerShare,
          dropSets: await layerSets(choice, layerShare, searched),
        });
  if (candidates.length === 0) throw impossible(ratio, 'with these options');
  if (!searched)
    return { trials: candidates.map((split) => ({ split })).slice(0, 1), align: asked };
  return { trials: await tryAll(choice, candidates), align: asked };
}

function protection({ protectFirst, protectLast }: ResolvedPruneOptions) {
  return { protectFirst, protectLast };
}

/** Sets of layers that may go together: by influence, and by trial where that is affordable. */
async function layerSets(
  choice: SplitChoice,
  layerShare: 'auto' | number,
  searched: boolean,
): Promise<number[][]> {
  const { influence, droppable, options, bench } = choice;
  if (options.dropLayers !== 'auto') return [givenLayers(options.dropLayers, bench.config)];
  const most = layerShare === 0 ? 0 : droppable.length;
  const orders = [influence];
  if (searched && most > 0 && options.method === 'comp') {
    orders.push(await withFewWindows(choice, (few) => lossesWithout(few, choice)));
  }
  const sets = new Map<string, number[]>([['', []]]);
  for (let count = 1; count <= most; count++) {
    for (const order of orders) {
      const set = leastImportant(order, droppable, count);
      // One layer fewer reaches the ratio already: more can only be worse.
      if (count > 1 && reaches(dropRatio(choice, set.slice(1)), options.ratio)) continue;
      sets.set(set.join(), set);
    }
  }
  return [...sets.values()];
}

/** @throws EspalierError `CONFIG` for layers that the model does not have, or all that it has */
function givenLayers(dropLayers: readonly number[], { layers }: ModelConfig): number[] {
  const beyond = dropLayers.find((layer) => layer >= layers.length);
  const problem =
    beyond !== undefined
      ? `a layer below ${layers.length}, got ${beyond}`
      : dropLayers.length === layers.length
        ? 'at least one layer to stay, got all'
        : undefined;
  if (problem !== undefined) {
    throw new EspalierError('CONFIG', `dropLayers: expected ${problem}`, {
      op: 'prune',
      details: { option: 'dropLayers' },
    });
  }
  return [...dropLayers].sort((a, b) => a - b);
}

/**
 * Scores every droppable layer by how far the predictions are off when it alone is dropped and the
 * rest recovered: unlike the block influence it knows what recovery can make up for [ours].
 * @returns by layer; infinite where the layer may not be dropped
 */
async function lossesWithout(bench: Workbench, choice: SplitChoice): Promise<number[]> {
  const losses = bench.config.layers.map(() => Number.POSITIVE_INFINITY);
  for (const layer of choice.droppable) {
    const split = untouched(bench.config, [layer]);
    const { divergence } = await trySplit(bench, quick(choice.method), split, choice.options.seed);
    losses[layer] = divergence;
  }
  return losses;
}

/** Without rescoring, which hardly changes which split is best. */
function quick(method: BlockMethod): BlockMethod {
  return { ...method, increment: 1 };
}

async function tryAll(choice: SplitChoice, candidates: readonly Split[]): Promise<SplitTrial[]> {
  const { bench, method, units, onTrial } = choice;
  const { seed } = choice.options;
  return searchSplit(candidates, {
    estimate: (split) =>
      withFewWindows(choice, (few) => trySplit(few, quick(method), split, seed, units?.(split))),
    evaluate: (split) => trySplit(bench, method, split, seed, units?.(split)),
    finalists: FINALISTS,
    ...(onTrial === undefined ? {} : { onTrial }),
  });
}

async function withFewWindows<T>(
  { bench, calibration, widest, chunkBytes }: SplitChoice,
  body: (few: Workbench) => Promise<T>,
): Promise<T> {
  const few = thinCalibration(calibration, ESTIMATE_WINDOWS);
  const chunks = calibrationChunks(few, widest, chunkBytes, bench.checkpoint.device);
  try {
    return await body({ ...bench, chunks });
  } finally {
    disposeChunks(chunks);
  }
}

function dropRatio(choice: SplitChoice, dropped: number[]): number {
  return untouched(choice.bench.config, dropped).ratio;
}

function defaultAlign({ bench }: SplitChoice): number {
  const widest = Math.max(...bench.config.layers.map((layer) => layer.intermediateSize));
  return widest >= 2048 ? 64 : 8;
}

function impossible(ratio: number, how: string): EspalierError {
  return new EspalierError('CONFIG', `a ratio of ${ratio} can't be reached ${how}`, {
    op: 'prune',
    remedy: 'ask for a smaller --ratio, or protect fewer layers',
    details: { option: 'ratio' },
  });
}
