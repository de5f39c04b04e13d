import type { BlockMethod } from '../../pruning/prune-block.js';
import { pruneLayers } from './prune-layers.js';
import type { Split } from './split.js';
import type { Workbench } from './workbench.js';

/**
 * The loss on held-out windows of the model pruned by a split. No equation sees those windows, and no
 * variance guard moves the split's widths.
 */
export async function trialLoss(
  bench: Workbench,
  method: BlockMethod,
  split: Split,
  seed: number,
): Promise<number> {
  const { maxMaskVariance: _, ...unguarded } = method;
  const { loss } = await pruneLayers(bench, {
    method: { ...unguarded, useHeldOut: false },
    seed,
    align: 1,
    plan: (layer) =>
      split.dropped.includes(layer)
        ? undefined
        : { groups: split.groups[layer] as number, channels: split.channels[layer] as number },
  });
  return loss;
}
