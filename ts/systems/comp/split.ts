import type { LayerShape, ModelConfig } from '../../formats/model-config.js';
import { narrowedShape, parameterCosts } from './parameter-budget.js';

/** A way to remove a share of the parameters: what stays of every layer. */
export interface Split {
  /** Indices of the layers that go, ascending. */
  dropped: number[];
  /** Key/value groups that stay, by layer. */
  groups: number[];
  /** MLP channels that stay, by layer. */
  channels: number[];
  /** The fraction of all parameters that it removes. */
  ratio: number;
}

/** The fraction of all parameters that a split removes. */
export function splitRatio(config: ModelConfig, split: Omit<Split, 'ratio'>): number {
  const costs = parameterCosts(config);
  const dropped = new Set(split.dropped);
  let removed = 0;
  for (const [i, layer] of config.layers.entries()) {
    removed += dropped.has(i)
      ? (costs.layers[i] as number)
      : (layer.numKeyValueHeads - (split.groups[i] as number)) * (costs.groups[i] as number) +
        (layer.intermediateSize - (split.channels[i] as number)) * costs.channel;
  }
  return removed / costs.total;
}

/** What {@link uniformSplit} is asked for. */
export interface UniformSplitRequest {
  ratio: number;
  dropped: readonly number[];
  /** Key/value groups that stay in every layer that has more. */
  groups: number;
  /** The MLP width becomes a multiple of this. */
  align: number;
  /** Layers that nothing is taken from; default none. */
  whole?: readonly number[];
}

/**
 * The split with the widest common MLP that removes at least `ratio`, given the layers and groups
 * that go. Layers that are narrower already, and those in `whole`, stay as they are.
 * @returns undefined when even the narrowest MLP removes too little, or when less than all channels
 * must stay although the layers and groups alone remove enough
 */
export function uniformSplit(
  config: ModelConfig,
  { ratio, dropped, groups, align, whole: kept = [] }: UniformSplitRequest,
): Split | undefined {
  const { layers } = config;
  const widest = Math.max(...layers.map((layer) => layer.intermediateSize));
  const keptGroups = layers.map((layer, i) =>
    kept.includes(i) ? layer.numKeyValueHeads : Math.min(layer.numKeyValueHeads, groups),
  );
  const at = (width: number): Split => {
    const channels = layers.map((layer, i) =>
      kept.includes(i) ? layer.intermediateSize : Math.min(layer.intermediateSize, width),
    );
    const split = { dropped: [...dropped], groups: keptGroups, channels };
    return { ...split, ratio: splitRatio(config, split) };
  };
  const whole = at(widest);
  if (reaches(whole.ratio, ratio)) return whole;
  const narrowest = Math.min(align, widest);
  let low = 0;
  let high = Math.ceil(widest / narrowest) - 1;
  // The largest number of steps that still removes enough.
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (reaches(at(middle * narrowest).ratio, ratio)) low = middle;
    else high = middle - 1;
  }
  return low === 0 ? undefined : at(low * narrowest);
}

/** Whether a ratio is met, up to rounding. */
export function reaches(actual: number, asked: number): boolean {
  return actual >= asked - 1e-12;
}

/** The shapes of the layers that stay. */
export function splitShapes(config: ModelConfig, split: Split): LayerShape[] {
  return config.layers
    .map((layer, i) => narrowedShape(layer, split.groups[i] as number, split.channels[i] as number))
    .filter((_, i) => !split.dropped.includes(i));
}

/** The split that removes nothing but the given layers. */
export function untouched(config: ModelConfig, dropped: readonly number[] = []): Split {
  const split = {
    dropped: [...dropped],
    groups: config.layers.map((layer) => layer.numKeyValueHeads),
    channels: config.layers.map((layer) => layer.intermediateSize),
  };
  return { ...split, ratio: splitRatio(config, split) };
}
