import type { BlockMethod } from '../../pruning/block-task.js';
import { pruneLayers } from './prune-layers.js';
import type { Split } from './split.js';
import type { Workbench } from './workbench.js';

/** How good a split is, on held-out windows that no equation has seen. */
export interface SplitQuality {
  /** Mean loss, in nats per token. */
  loss: number;
  /** Divergence of the predictions from the unpruned model's, in nats per position. */
  divergence: number;
}

/** Prunes a model by a split, without a variance guard that moves its widths, and judges it. */
export async function trySplit(
  bench: Workbench,
  method: BlockMethod,
  split: Split,
  seed: number,
): Promise<SplitQuality> {
  const { maxMaskVariance: _, ...unguarded } = method;
  const { loss, divergence = Number.NaN } = await pruneLayers(bench, {
    method: { ...unguarded, useHeldOut: false },
    seed,
    align: 1,
    compares: true,
    plan: (layer) =>
      split.dropped.includes(layer)
        ? undefined
        : { groups: split.groups[layer] as number, channels: split.channels[layer] as number },
  });
  return { loss, divergence };
}
