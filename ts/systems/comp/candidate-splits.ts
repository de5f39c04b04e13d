import type { ModelConfig } from '../../formats/model-config.js';
import { layerParameters, modelParameters } from './parameter-budget.js';
import {
  reaches,
  type Split,
  splitRatio,
  type UniformSplitRequest,
  uniformSplit,
} from './split.js';

/** A ratio may be exceeded by this much before a warning says so. */
export const RATIO_TOLERANCE = 0.015;

/** What {@link candidateSplits} chooses from. */
export interface CandidateRequest {
  ratio: number;
  /** Share of the ratio for whole layers. */
  layerShare: 'auto' | number;
  /** Sets of layers that may go together, the empty one where no layer need go, by their size. */
  dropSets: readonly (readonly number[])[];
  /** MLP widths become multiples of this. */
  align: number;
  /** Whether the alignment is halved where it alone makes a split miss the ratio. */
  halve: boolean;
  /**
   * Key/value groups that stay in each layer; `auto`: any number whose heads divide the hidden size,
   * because stock transformers refuses other configurations.
   */
  groups: 'auto' | number;
  /** Layers that nothing is taken from; default none. Heads then need not divide the hidden size. */
  whole?: readonly number[];
}

/**
 * The splits between layers, key/value groups and channels that remove at least the ratio and at most
 * 1.5 points more; when there is none, those that exceed it least.
 */
export function candidateSplits(config: ModelConfig, request: CandidateRequest): Split[] {
  const { ratio, layerShare, align, whole = [] } = request;
  const all = Math.max(...config.layers.map((layer) => layer.numKeyValueHeads));
  const mostGroups = request.groups === 'auto' ? all : Math.min(all, request.groups);
  const fewest = request.groups === 'auto' ? 1 : mostGroups;
  const wanted =
    layerShare === 'auto' ? undefined : layersFor(config, ratio * layerShare, request.dropSets);
  const found: Split[] = [];
  for (const dropped of request.dropSets) {
    if (wanted !== undefined && dropped.length !== wanted) continue;
    for (let groups = mostGroups; groups >= fewest; groups--) {
      const stock = request.groups === 'auto' && whole.length === 0;
      if (stock && groups < all && !dividesHidden(config, groups)) continue;
      const split = alignedSplit(config, { ratio, dropped, groups, align, whole }, request.halve);
      if (split === undefined) continue;
      found.push(split);
      // Fewer groups would only remove more than what the layers and groups alone remove already.
      if (Math.max(...split.channels.filter((_, i) => !whole.includes(i))) === widest(config))
        break;
    }
  }
  return closest(found, ratio);
}

/** The fewest of the least important layers that reach the ratio, as ShortGPT removes them. */
export function layersOnly(
  config: ModelConfig,
  ratio: number,
  order: (count: number) => number[],
  droppable: number,
): Split | undefined {
  for (let count = 0; count <= droppable; count++) {
    const split = {
      dropped: order(count),
      groups: config.layers.map((layer) => layer.numKeyValueHeads),
      channels: config.layers.map((layer) => layer.intermediateSize),
    };
    const actual = splitRatio(config, split);
    if (reaches(actual, ratio)) return { ...split, ratio: actual };
  }
  return undefined;
}

/** The uniform split at the coarsest alignment that meets the ratio within the tolerance. */
function alignedSplit(
  config: ModelConfig,
  request: UniformSplitRequest,
  halve: boolean,
): Split | undefined {
  let best: Split | undefined;
  for (let { align } = request; align >= 1; align = Math.floor(align / 2)) {
    const split = uniformSplit(config, { ...request, align });
    if (split !== undefined && (best === undefined || split.ratio < best.ratio)) best = split;
    const met = best !== undefined && best.ratio <= request.ratio + RATIO_TOLERANCE;
    if (met || !halve) break;
  }
  return best;
}

function closest(splits: Split[], ratio: number): Split[] {
  const least = Math.min(...splits.map((split) => split.ratio));
  return splits.filter((split) => split.ratio <= Math.max(ratio + RATIO_TOLERANCE, least + 1e-12));
}

/** The number of layers, among the sizes at hand, whose removal comes nearest to a ratio. */
function layersFor(
  config: ModelConfig,
  ratio: number,
  sets: readonly (readonly number[])[],
): number {
  const total = modelParameters(config);
  const mean =
    config.layers.reduce((sum, layer) => sum + layerParameters(config, layer), 0) /
    config.layers.length;
  const wanted = Math.round((ratio * total) / mean);
  return Math.min(wanted, Math.max(...sets.map((set) => set.length)));
}

/** Whether the query heads of so many key/value groups divide the hidden size in every layer. */
export function dividesHidden({ hiddenSize, layers }: ModelConfig, groups: number): boolean {
  return layers.every(
    ({ numAttentionHeads, numKeyValueHeads }) =>
      hiddenSize % (groups * (numAttentionHeads / numKeyValueHeads)) === 0,
  );
}

function widest(config: ModelConfig): number {
  return Math.max(...config.layers.map((layer) => layer.intermediateSize));
}
