import type { BlockMethod, KeepUnits } from '../../pruning/block-task.js';
import { pruneLayers } from './prune-layers.js';
import type { Split } from './split.js';
import type { UnitPlan } from './unit-plan.js';
import type { Workbench } from './workbench.js';

/** How good a split is, on held-out windows that no equation has seen. */
export interface SplitQuality {
  /** Mean loss, in nats per token. */
  loss: number;
  /** Divergence of the predictions from the unpruned model's, in nats per position. */
  divergence: number;
}

/**
 * Prunes a model by a split, without a variance guard that moves its widths, and judges it.
 * @param units the units that stay, where the method names them itself
 */
export async function trySplit(
  bench: Workbench,
  method: BlockMethod,
  split: Split,
  seed: number,
  units?: UnitPlan,
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
        : {
            groups: (units ?? split).groups[layer] as KeepUnits,
            channels: (units ?? split).channels[layer] as KeepUnits,
          },
  });
  return { loss, divergence };
}
