import type { ModelConfig } from '../../formats/model-config.js';
import { parameterCosts } from './parameter-budget.js';
import type { LayerPlan, LayerReport } from './prune-layers.js';
import type { Split } from './split.js';
import type { UnitPlan } from './unit-plan.js';

/** What a run decided before its first layer; JSON, so that a resumed run follows it. */
export interface RunPlan {
  split: Split;
  /** Widths are multiples of it. */
  align: number;
  /** Whether the variance guard has had its say: the widths are kept to. */
  balanced?: boolean;
  /** Whether the ratio could not be met inside the guard. */
  exceeded?: boolean;
  /** The units that stay, where the method names them itself. */
  units?: UnitPlan;
}

/** What shall stay of a layer; what earlier layers kept beyond their plan falls to the later ones. */
export function layerPlan(
  config: ModelConfig,
  { split, align, units }: RunPlan,
  layer: number,
  done: readonly LayerReport[],
): LayerPlan | undefined {
  if (split.dropped.includes(layer)) return undefined;
  if (units !== undefined) {
    return { groups: units.groups[layer] ?? [], channels: units.channels[layer] ?? [] };
  }
  const planned = (i: number) => split.channels[i] as number;
  const { groups: costs, channel } = parameterCosts(config);
  const excess = done.reduce((sum, { layer: i, attention, mlp }) => {
    const groups = attention.kept - (split.groups[i] as number);
    return sum + mlp.kept - planned(i) + (groups * (costs[i] as number)) / channel;
  }, 0);
  const rest = config.layers
    .map((_, i) => i)
    .filter((i) => i >= layer && !split.dropped.includes(i))
    .map((i) => ({ i, spare: Math.max(0, planned(i) - align) }));
  // What was moved to earlier layers of this list is already in `excess` with the opposite sign.
  const spare = rest.reduce((sum, entry) => sum + entry.spare, 0);
  const own = rest[0]?.spare ?? 0;
  const extra = spare > 0 ? Math.ceil((excess * own) / spare / align) * align : 0;
  const width = config.layers[layer]?.intermediateSize ?? 0;
  const channels = Math.min(width, planned(layer) - Math.max(0, Math.min(extra, own)));
  return { groups: split.groups[layer] as number, channels };
}
