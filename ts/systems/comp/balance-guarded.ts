import type { ModelConfig } from '../../formats/model-config.js';
import type { BlockMethod } from '../../pruning/block-task.js';
import { giveBack } from './distribute-channels.js';
import { pruneLayers } from './prune-layers.js';
import { reaches, type Split, splitRatio } from './split.js';
import type { Workbench } from './workbench.js';

/** Passes that look where the guard stops; each moves what the one before found. */
const MAX_PASSES = 4;

/** How {@link balanceGuarded} balances. */
export interface BalanceOptions {
  /** With the guard: `maxMaskVariance`. */
  method: BlockMethod;
  seed: number;
  ratio: number;
  /** Widths are multiples of it. */
  align: number;
  /** Called after each pass. */
  onPass?: (done: number, total: number) => void;
}

/** Widths that the variance guard lets pass, as far as the ratio allows. */
export interface BalancedSplit {
  split: Split;
  /** Whether the ratio can't be met inside the guard, so that it was met in spite of it. */
  exceeded: boolean;
}

/**
 * Moves the budget of the blocks that the variance guard stops to the MLPs of the other layers, those
 * in front of them included: a pass that only looks prunes with the guard, what stopped stays as wide
 * as it was, the others become narrower, and so on until nothing stops. Where all have stopped before
 * the ratio is met, all MLPs share what is missing [reconstructed: that the budget moves].
 */
export async function balanceGuarded(
  bench: Workbench,
  start: Split,
  { method, seed, ratio, align, onPass }: BalanceOptions,
): Promise<BalancedSplit> {
  const { config } = bench;
  const stays = config.layers.map((_, i) => i).filter((i) => !start.dropped.includes(i));
  const stopped = new Set<number>();
  let split = start;
  for (let pass = 0; pass < MAX_PASSES; pass++) {
    const { groups, channels } = split;
    const { reports } = await pruneLayers(bench, {
      method: { ...method, useHeldOut: false },
      seed,
      align,
      plan: (layer) =>
        start.dropped.includes(layer)
          ? undefined
          : { groups: groups[layer] as number, channels: channels[layer] as number },
    });
    onPass?.(pass + 1, MAX_PASSES);
    const wider = { ...split, groups: [...groups], channels: [...channels] };
    for (const { layer, attention, mlp } of reports) {
      if (mlp.kept > (channels[layer] as number)) stopped.add(layer);
      wider.groups[layer] = attention.kept;
      wider.channels[layer] = mlp.kept;
    }
    wider.ratio = splitRatio(config, wider);
    if (reaches(wider.ratio, ratio)) return { split: wider, exceeded: false };
    const takers = stays.filter((layer) => !stopped.has(layer));
    split = narrowed(config, wider, takers, ratio, align);
    if (!reaches(split.ratio, ratio)) break;
  }
  if (reaches(split.ratio, ratio)) return { split, exceeded: true };
  return { split: narrowed(config, split, stays, ratio, align), exceeded: true };
}

/** Makes the MLPs of some layers narrower, all by the same share, until the ratio is met if it can be. */
function narrowed(
  config: ModelConfig,
  split: Split,
  layers: readonly number[],
  ratio: number,
  align: number,
): Split {
  const at = (share: number): Split => {
    const channels = [...split.channels];
    for (const i of layers) {
      const width = channels[i] as number;
      const kept = Math.floor((width * (1 - share)) / align) * align;
      channels[i] = Math.min(width, Math.max(align, kept));
    }
    const next = { ...split, channels };
    return { ...next, ratio: splitRatio(config, next) };
  };
  let [low, high] = [0, 1];
  if (!reaches(at(high).ratio, ratio)) return at(high);
  for (let i = 0; i < 40; i++) {
    const middle = (low + high) / 2;
    if (reaches(at(middle).ratio, ratio)) high = middle;
    else low = middle;
  }
  return giveBack(config, at(high), split.channels, layers, ratio, align);
}
